-- JSON-RPC 2.0 (https://www.jsonrpc.org/specification), one JSON text a line, batches included.
--
--   local jsonrpc = require("protocols.jsonrpc")
--   protocol_input, protocol_decode, protocol_encode = jsonrpc.input, jsonrpc.decode, jsonrpc.encode
--   on_message = jsonrpc.server({
--     add = function(params, conn) return params[1] + params[2] end,
--     find = function(params, conn) return nil, { code = 1, message = "not found" } end,
--   })
--
-- A method may wait (mix.http.request, mix.sleep ...). To tell a client something by itself:
--   conn:send({ jsonrpc = "2.0", method = "news", params = { "hello" } })

local text = require("protocols.text")

local jsonrpc = {
  PARSE_ERROR = -32700,
  INVALID_REQUEST = -32600,
  METHOD_NOT_FOUND = -32601,
  INTERNAL_ERROR = -32603,
  SERVER_ERROR = -32000,
}

jsonrpc.input = text.input

local function failure(id, code, message)
  return { jsonrpc = "2.0", error = { code = code, message = message }, id = id == nil and mix.null or id }
end

local function valid_id(id)
  return id == nil or id == mix.null or type(id) == "string" or type(id) == "number"
end

-- A request, or a response to a request of ours.
local function valid(message)
  if type(message) ~= "table" or message.jsonrpc ~= "2.0" or not valid_id(message.id) then
    return false
  end
  if message.method == nil then
    return message.id ~= nil and (message.result ~= nil or type(message.error) == "table")
  end
  return type(message.method) == "string" and (message.params == nil or type(message.params) == "table")
end

local function invalid(message)
  local id = type(message) == "table" and message.id
  return failure(valid_id(id) and id or nil, jsonrpc.INVALID_REQUEST, "Invalid Request")
end

-- What is malformed is answered here; on_message sees a request, a response, or a batch: an array of requests and responses.
function jsonrpc.decode(str, conn)
  if not str:find("%S") then
    return nil
  end
  local message, err = mix.json_decode(str)
  if err then
    conn:send(failure(nil, jsonrpc.PARSE_ERROR, "Parse error: " .. err))
    return nil
  end
  if type(message) == "table" and message[1] ~= nil then
    return message
  end
  if not valid(message) then
    conn:send(invalid(message))
    return nil
  end
  return message
end

function jsonrpc.encode(value)
  if type(value) ~= "string" then
    local err
    value, err = mix.json_encode(value)
    if err then
      mix.log(mix.ERROR, "jsonrpc: not sent: " .. err)
      return nil
    end
  end
  return text.encode(value)
end

-- The response to one message, nil when there is none (notifications, responses).
local function answer(methods, message, conn)
  if not valid(message) then
    return invalid(message)
  end
  if message.method == nil then
    return nil
  end
  local method = methods[message.method]
  if not method then
    return message.id ~= nil and failure(message.id, jsonrpc.METHOD_NOT_FOUND, "Method not found: " .. message.method) or nil
  end
  local ok, result, err = pcall(method, message.params or {}, conn)
  if not ok then
    mix.log(mix.ERROR, "jsonrpc: " .. message.method .. ": " .. tostring(result))
    err = { code = jsonrpc.INTERNAL_ERROR, message = "Internal error" }
  end
  if message.id == nil then
    return nil
  end
  if err ~= nil then
    if type(err) ~= "table" then
      err = { code = jsonrpc.SERVER_ERROR, message = tostring(err) }
    end
    return { jsonrpc = "2.0", error = err, id = message.id }
  end
  return { jsonrpc = "2.0", result = result == nil and mix.null or result, id = message.id }
end

-- What has no JSON form, a function say, is the method's mistake: the client is told instead of waiting for an answer.
local function sendable(response)
  if mix.json_encode(response) then
    return response
  end
  return failure(response.id, jsonrpc.INTERNAL_ERROR, "Internal error")
end

-- An on_message that calls methods[name](params, conn) and sends what it returns: a result, or nil and an error, which is
-- text or { code, message, data }.
function jsonrpc.server(methods)
  return function(message, conn)
    if message[1] == nil then
      local response = answer(methods, message, conn)
      if response and conn:send(response) then
        conn:send(sendable(response))
      end
      return
    end
    local responses = {}
    for _, each in ipairs(message) do
      responses[#responses + 1] = answer(methods, each, conn)
    end
    if #responses > 0 and conn:send(responses) then
      for i, response in ipairs(responses) do
        responses[i] = sendable(response)
      end
      conn:send(responses)
    end
  end
end

return jsonrpc
