-- WebSocket (RFC 6455) in Lua, for servers with `protocol: socket`.
--
--   local websocket = require("protocols.websocket")
--   protocol_input, protocol_decode, protocol_encode = websocket.input, websocket.decode, websocket.encode
--   on_close = websocket.on_close
--   function on_message(msg, conn) conn:send("you said " .. msg.data) end
--
-- msg is { type = "text" | "binary", data = bytes, finish = true }, as on servers with `protocol: websocket`. What is sent
-- is a string (text when it is UTF-8, else binary) or { type = "text" | "binary", data = bytes }.

local websocket = {
  -- Bytes of a message, all its fragments together; beyond it the client is closed with 1009.
  max_message = 1000 * 1000,
  -- The path a client has to ask for; nil: any.
  path = nil,
  -- Called as on_handshake(client_id, headers, server, conn) before the upgrade is answered; false refuses the client.
  on_handshake = nil,
}

local GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
local MAX_HEAD = 16 * 1024
local MAX_FRAGMENTS = 10000

local CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
local TYPES = { [TEXT] = "text", [BINARY] = "binary" }
local OPCODES = { text = TEXT, binary = BINARY }

-- The message that is arriving in fragments, by connection. That a client has been upgraded is kept in its context, which
-- survives a reload of the script; a message that is half-way does not.
local fragmented = {}

-- Looked up once: these run for each message.
local char, byte, sub = string.char, string.byte, string.sub
local bytes_xor, is_utf8 = mix.bytes_xor, mix.is_utf8

local function frame(opcode, data)
  local size = #data
  if size < 126 then
    return char(0x80 | opcode, size) .. data
  elseif size < 0x10000 then
    return char(0x80 | opcode, 126, size >> 8, size & 0xff) .. data
  end
  return mix.php_pack("CCJ", 0x80 | opcode, 127, size) .. data
end

-- Sends bytes as they are: encode lets them through.
local function write(conn, bytes)
  return conn:send({ raw = bytes })
end

-- Closes the connection; what the client has sent already is not looked at any more.
local function finish(conn)
  conn:clear_buffer()
  return conn:close()
end

-- Says goodbye (RFC 6455 section 7.4) and closes the connection.
function websocket.close(conn, code, reason)
  local payload = code and char(code >> 8, code & 0xff) .. (reason or "") or ""
  write(conn, frame(CLOSE, payload))
  return finish(conn)
end

-- handshake ------------------------------------------------------------------------------------------------------------

local function refuse(conn, status, reason, headers)
  write(conn, table.concat({
    "HTTP/1.1 " .. status,
    "Connection: close",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Length: " .. #reason,
  }, "\r\n") .. "\r\n" .. (headers or "") .. "\r\n" .. reason)
  finish(conn)
end

-- The request line's parts and the headers by lower-case name, or nil.
local function parse_head(head)
  local method, uri, protocol, rest = head:match("^(%u+) (%S+) (HTTP/%d%.%d)\r\n(.*)$")
  if not method then
    return nil
  end
  local headers = {}
  for line in rest:gmatch("([^\r\n]+)\r\n") do
    local name, value = line:match("^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.-)[ \t]*$")
    if not name then
      return nil
    end
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return { Method = method, RequestUri = uri, ServerProtocol = protocol, Host = headers.host or "" }, headers
end

local function has_token(list, token)
  for each in (list or ""):gmatch("[^,%s]+") do
    if each:lower() == token then
      return true
    end
  end
  return false
end

-- What is wrong with the request: status, reason, more headers.
local function objection(server, headers)
  if server.Method ~= "GET" then
    return "405 Method Not Allowed", "expected GET", "Allow: GET\r\n"
  elseif server.ServerProtocol == "HTTP/1.0" or not headers.host then
    return "400 Bad Request", "expected HTTP/1.1 and a Host header"
  elseif websocket.path and server.RequestUri:match("^[^?]*") ~= websocket.path then
    return "404 Not Found", "nothing here"
  elseif not has_token(headers.upgrade, "websocket") or not has_token(headers.connection, "upgrade") then
    return "426 Upgrade Required", "expected a WebSocket upgrade", "Upgrade: websocket\r\n"
  elseif headers["sec-websocket-version"] ~= "13" then
    return "426 Upgrade Required", "expected version 13", "Sec-WebSocket-Version: 13\r\n"
  end
  local key = headers["sec-websocket-key"]
  if not key or #(mix.base64_decode(key) or "") ~= 16 then
    return "400 Bad Request", "expected 16 bytes of base64 in Sec-WebSocket-Key"
  end
end

local function handshake(head, conn)
  local server, headers = parse_head(head)
  if not server then
    return refuse(conn, "400 Bad Request", "not an HTTP request")
  end
  server.RemoteAddr = conn:remote_addr()
  local status, reason, more = objection(server, headers)
  if status then
    return refuse(conn, status, reason, more)
  end
  if websocket.on_handshake and websocket.on_handshake(conn:client_id(), headers, server, conn) == false then
    return refuse(conn, "403 Forbidden", "refused")
  end
  conn:set_context_value("websocket", true)
  local lines = {
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: " .. mix.base64_encode(mix.sha1_bin(headers["sec-websocket-key"] .. GUID)),
  }
  -- A browser that offers subprotocols hangs up unless one of them is taken: the first, as on servers that speak WebSocket.
  local subprotocol = (headers["sec-websocket-protocol"] or ""):match("[^,%s]+")
  if subprotocol then
    lines[#lines + 1] = "Sec-WebSocket-Protocol: " .. subprotocol
  end
  write(conn, table.concat(lines, "\r\n") .. "\r\n\r\n")
end

-- frames ---------------------------------------------------------------------------------------------------------------

-- The close code and reason for a frame that may not come now, from its first two bytes.
local function violation(first, second, conn)
  local opcode = first & 0x0f
  if first & 0x70 ~= 0 then
    return 1002, "reserved bits are set"
  elseif second & 0x80 == 0 then
    return 1002, "the frame is not masked"
  elseif opcode >= CLOSE then
    if opcode > PONG then
      return 1002, "unknown opcode"
    elseif first & 0x80 == 0 or second & 0x7f > 125 then
      return 1002, "a control frame is fragmented or too long"
    end
  elseif opcode > BINARY then
    return 1002, "unknown opcode"
  else
    local began = fragmented[conn]
    if opcode == CONTINUATION and not began then
      return 1002, "nothing to continue"
    elseif opcode ~= CONTINUATION and began then
      return 1002, "the message before is not finished"
    end
  end
end

local function fail(conn, code, reason)
  websocket.close(conn, code, reason)
  return -1
end

function websocket.input(buf, conn)
  local first, second, b3, b4 = buf:byte(1, 4)
  if not conn:context_value("websocket") then
    if first < 65 or first > 90 then
      refuse(conn, "400 Bad Request", "not an HTTP request")
      return -1
    end
    local _, stop = buf:find("\r\n\r\n")
    if stop and stop <= MAX_HEAD then
      return stop
    end
    if stop or buf:length() > MAX_HEAD then
      refuse(conn, "431 Request Header Fields Too Large", "the request is too long")
      return -1
    end
    return 0
  end
  if not second then
    return 0
  end
  -- Most frames are whole messages, which need no more than this look.
  if (first ~= 0x81 and first ~= 0x82) or second < 0x80 or fragmented[conn] then
    local code, reason = violation(first, second, conn)
    if code then
      return fail(conn, code, reason)
    end
  end
  local size, header = second & 0x7f, 6
  if size == 126 then
    if not b4 then
      return 0
    end
    size, header = b3 << 8 | b4, 8
  elseif size == 127 then
    if buf:length() < 10 then
      return 0
    end
    local b5, b6, b7, b8, b9, b10 = buf:byte(5, 10)
    if b3 ~= 0 or b4 ~= 0 or b5 ~= 0 or b6 ~= 0 or b7 > 127 then
      return fail(conn, 1009, "the message is too large")
    end
    size, header = b7 << 24 | b8 << 16 | b9 << 8 | b10, 14
  end
  if size > websocket.max_message then
    return fail(conn, 1009, "the message is too large")
  end
  return header + size
end

local function message(opcode, data, conn)
  if opcode == TEXT and not is_utf8(data) then
    websocket.close(conn, 1007, "the text is not UTF-8")
    return nil
  end
  return { type = TYPES[opcode], data = data, finish = true }
end

-- Keeps a part of a message; the whole message when it was the last one.
local function gather(final, opcode, data, conn)
  local parts = fragmented[conn]
  if not parts then
    parts = { opcode = opcode, size = 0 }
    fragmented[conn] = parts
  end
  parts[#parts + 1] = data
  parts.size = parts.size + #data
  if parts.size > websocket.max_message or #parts > MAX_FRAGMENTS then
    fragmented[conn] = nil
    websocket.close(conn, 1009, "the message is too large")
  elseif final then
    fragmented[conn] = nil
    return message(parts.opcode, table.concat(parts), conn)
  end
end

local function close_code_allowed(code)
  return code >= 1000 and code <= 1003 or code >= 1007 and code <= 1014 or code >= 3000 and code <= 4999
end

-- The client says goodbye: the same code goes back.
local function closing(data, conn)
  if data == "" then
    return websocket.close(conn)
  end
  local high, low = data:byte(1, 2)
  local code = low and high << 8 | low
  if not code or not close_code_allowed(code) then
    return websocket.close(conn, 1002, "invalid close code")
  elseif not is_utf8(data:sub(3)) then
    return websocket.close(conn, 1007, "the reason is not UTF-8")
  end
  websocket.close(conn, code)
end

function websocket.decode(str, conn)
  local first, second = byte(str, 1, 2)
  -- No frame that input lets through begins with a letter, and everything before the upgrade does.
  if first >= 65 and first <= 90 then
    return handshake(str, conn)
  end
  local start = 3
  local size = second & 0x7f
  if size == 126 then
    start = 5
  elseif size == 127 then
    start = 11
  end
  local opcode, final = first & 0x0f, first & 0x80 ~= 0
  local data = size == 0 and "" or bytes_xor(sub(str, start + 4), sub(str, start, start + 3))
  if opcode < CLOSE then
    if final and opcode ~= CONTINUATION then
      return message(opcode, data, conn)
    end
    return gather(final, opcode, data, conn)
  elseif opcode == PING then
    write(conn, frame(PONG, data))
  elseif opcode == CLOSE then
    closing(data, conn)
  end
end

function websocket.encode(value)
  if type(value) == "string" then
    return frame(is_utf8(value) and TEXT or BINARY, value)
  elseif type(value) ~= "table" then
    return nil
  elseif value.raw then
    return value.raw
  end
  local opcode = OPCODES[value.type]
  if not opcode or type(value.data) ~= "string" or opcode == TEXT and not is_utf8(value.data) then
    return nil
  end
  return frame(opcode, value.data)
end

function websocket.on_close(client_id, err, conn)
  fragmented[conn] = nil
end

return websocket
