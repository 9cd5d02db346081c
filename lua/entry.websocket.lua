-- A starting point for a WebSocket server of your own. In conf/connmix.yaml:
--
--   servers:
--     - port: 6790
--       protocol: websocket
--       entry: lua/entry.websocket.lua
--
-- Clients send JSON: {"op": "join", "room": "lobby"}, {"op": "say", "room": "lobby", "text": "hello"},
-- {"op": "leave", "room": "lobby"}. Everything else goes to the backend, by the queue "messages".
-- Save the file while connmix runs: within byteCodeExpires seconds the new code is in use, and no client notices.

-- Once for each VM, before clients come.
function init()
  mix.queue.new("messages", 5000)
end

-- A client has connected. `headers` and `server` describe its request; return false to turn it away.
function on_handshake(client_id, headers, server, conn)
  conn:set_context_value("joined_at", math.floor(mix.time()))
  -- A login would go here: check a token of headers["authorization"], then
  --   conn:set_context_value("user_id", ...)
  -- or let the backend do it: it calls set_context_value by conn.call while on_message waits for the value:
  --   local user_id, err = conn:wait_context_value("user_id", 5)
end

local function reply(conn, value)
  local text, err = mix.json_encode(value)
  if not err then
    err = conn:send(text)
  end
  if err then
    mix.log(mix.WARN, "no reply to client " .. conn:client_id() .. ": " .. err)
  end
end

local operations = {}

function operations.join(request, conn)
  local err = conn:subscribe("room:" .. request.room)
  reply(conn, { op = "join", room = request.room, ok = not err, error = err })
end

function operations.leave(request, conn)
  local err = conn:unsubscribe("room:" .. request.room)
  reply(conn, { op = "leave", room = request.room, ok = not err, error = err })
end

-- A channel reaches its subscribers on every engine of the cluster.
function operations.say(request, conn)
  local text, err = mix.json_encode({ from = conn:client_id(), room = request.room, text = request.text })
  if err then
    return reply(conn, { op = "say", ok = false, error = err })
  end
  mix.mesh.publish("room:" .. request.room, text)
end

-- msg.type is "text" or "binary", msg.data the bytes. One message of a client at a time, in order.
function on_message(msg, conn)
  local request, err = mix.json_decode(msg.data)
  if err or type(request) ~= "table" then
    return reply(conn, { ok = false, error = "expected a JSON object" })
  end
  local operation = operations[request.op]
  if operation then
    if type(request.room) ~= "string" then
      return reply(conn, { op = request.op, ok = false, error = "expected room to be text" })
    end
    return operation(request, conn)
  end
  local message = mix.json_encode({ msg = request, ctx = conn:context() })
  local _, push_err = mix.queue.push("messages", message)
  if push_err then
    reply(conn, { ok = false, error = "try again later: " .. push_err })
  end
end

-- The client has gone, for whatever reason; err is nil when it said goodbye. Its subscriptions have ended by themselves.
function on_close(client_id, err, conn)
end
