-- A chat room: see README.md beside this file for the dialogue.

local function send(conn, message)
  return conn:send(mix.json_encode(message))
end

local function tell_room(room, message)
  local text, err = mix.json_encode(message)
  if err then
    return err
  end
  mix.mesh.publish("room:" .. room, text)
end

local function leave(conn)
  local room = conn:context_value("room")
  if room then
    conn:unsubscribe("room:" .. room)
    conn:set_context_value("room", nil)
    tell_room(room, { op = "left", name = conn:context_value("name") })
  end
end

-- What clients may ask for; what an operation returns is the error they are told.
local operations = {}

function operations.join(request, conn)
  if type(request.room) ~= "string" or type(request.name) ~= "string" then
    return "expected room and name"
  end
  leave(conn)
  local err = conn:subscribe("room:" .. request.room)
  if err then
    return err
  end
  conn:set_context({ room = request.room, name = request.name })
  tell_room(request.room, { op = "joined", name = request.name })
end

function operations.say(request, conn)
  local room = conn:context_value("room")
  if not room then
    return "join a room first"
  elseif type(request.text) ~= "string" then
    return "expected text"
  end
  return tell_room(room, { op = "said", name = conn:context_value("name"), text = request.text })
end

function operations.leave(_, conn)
  leave(conn)
end

function on_message(msg, conn)
  local request = mix.json_decode(msg.data)
  local operation = type(request) == "table" and operations[request.op]
  local err
  if operation then
    err = operation(request, conn)
  else
    err = "expected a JSON object with op join, say or leave"
  end
  if err then
    send(conn, { op = "error", message = err })
  end
end

function on_close(client_id, err, conn)
  leave(conn)
end
