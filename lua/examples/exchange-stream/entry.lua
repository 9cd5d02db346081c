-- Market streams of an exchange, with a login by HTTP: see README.md beside this file for the dialogue.

local PUBLIC = { ["ticker"] = true, ["depth"] = true, ["trades"] = true }

local function send(conn, message)
  return conn:send(mix.json_encode(message))
end

-- The channel for a stream a client names, or nil and why it cannot have it. "orders" and "balance" are the user's own.
local function channel_of(stream, conn)
  if type(stream) ~= "string" then
    return nil, "expected streams such as ticker:BTC-USDT or orders"
  end
  local kind, market = stream:match("^(%a+):([%u%d]+%-[%u%d]+)$")
  if kind and PUBLIC[kind] then
    return kind .. ":" .. market
  elseif stream == "orders" or stream == "balance" then
    local user_id = conn:context_value("user_id")
    if not user_id then
      return nil, "log in first to subscribe to " .. stream
    end
    return stream .. ":" .. user_id
  end
  return nil, "no such stream: " .. stream
end

local operations = {}

-- Asks the backend who the token belongs to. Only this client waits for the answer.
function operations.login(request, conn)
  if type(request.token) ~= "string" then
    return "expected token"
  end
  local response, err = mix.http.request("POST", mix.server.option("login_url"), {
    headers = { ["Content-Type"] = "application/json" },
    body = mix.json_encode({ token = request.token }),
    timeout = "3s",
  })
  if err then
    mix.log(mix.ERROR, "login: " .. err)
    return "login is not possible now, try again later"
  elseif response.status_code ~= 200 then
    return "wrong token"
  end
  local user = mix.json_decode(response.body)
  if type(user) ~= "table" or not user.user_id then
    mix.log(mix.ERROR, "login: expected a user_id from the backend, got " .. response.body)
    return "login is not possible now, try again later"
  end
  conn:set_context_value("user_id", user.user_id)
end

function operations.subscribe(request, conn)
  local channel, err = channel_of(request.stream, conn)
  return err or conn:subscribe(channel)
end

function operations.unsubscribe(request, conn)
  local channel, err = channel_of(request.stream, conn)
  return err or conn:unsubscribe(channel)
end

function on_message(msg, conn)
  local request = mix.json_decode(msg.data)
  local operation = type(request) == "table" and operations[request.op]
  if not operation then
    return send(conn, { ok = false, error = "expected a JSON object with op login, subscribe or unsubscribe" })
  end
  local err = operation(request, conn)
  send(conn, { op = request.op, stream = request.stream, ok = not err, error = err })
end
