-- What entry.lua does, on a server with `protocol: socket`: the WebSocket protocol is spoken in Lua. Change `websocket` for
-- another module of lua/protocols/, or for one of your own, to speak something else. In conf/connmix.yaml:
--
--   servers:
--     - port: 6790
--       protocol: socket
--       entry: lua/entry.socket.lua

local websocket = require("protocols.websocket")

protocol_input = websocket.input
protocol_decode = websocket.decode
protocol_encode = websocket.encode

function websocket.on_handshake(client_id, headers, server, conn)
  conn:set_context_value("headers", headers)
end

-- Once in ten seconds is enough: every message may have the same problem, and the metrics count what a full topic refuses.
local complained = 0
local function complain(problem)
  if math.abs(mix.time() - complained) >= 10 then
    complained = mix.time()
    mix.log(mix.ERROR, problem)
  end
end

function on_message(msg, conn)
  local message, err = mix.json_encode({ msg = msg, ctx = conn:context() })
  if err then
    complain("cannot encode the message: " .. err)
    return
  end
  local _, push_err = mix.queue.push("foo", message)
  if push_err then
    complain("cannot push to foo: " .. push_err)
  end
end

function on_close(client_id, err, conn)
  websocket.on_close(client_id, err, conn)
end
