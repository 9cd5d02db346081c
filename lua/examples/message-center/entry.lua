-- A message centre: see README.md beside this file for the dialogue. The backend knows who a client is; the script only waits
-- until it has said so by conn.call.

local function send(conn, message)
  return conn:send(mix.json_encode(message))
end

local operations = {}

function operations.login(request, conn)
  if type(request.token) ~= "string" then
    return "expected token"
  elseif conn:context_value("user_id") then
    return "already logged in"
  end
  local _, push_err = mix.queue.push("login", { token = request.token })
  if push_err then
    return push_err
  end
  -- Only this client waits; the backend calls set_context_value("user_id", ...) on it.
  local user_id, err = conn:wait_context_value("user_id", 5)
  if err then
    return "login failed"
  end
  return conn:subscribe("user:" .. user_id, "everybody")
end

-- The user has read a message.
function operations.read(request, conn)
  local user_id = conn:context_value("user_id")
  if not user_id then
    return "log in first"
  end
  local _, err = mix.queue.push("read", { user_id = user_id, id = request.id })
  return err
end

function on_message(msg, conn)
  local request = mix.json_decode(msg.data)
  local operation = type(request) == "table" and operations[request.op]
  if not operation then
    return send(conn, { ok = false, error = "expected a JSON object with op login or read" })
  end
  local err = operation(request, conn)
  send(conn, { op = request.op, ok = not err, error = err })
end
