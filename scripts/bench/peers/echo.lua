-- A WebSocket echo (RFC 6455) over nginx's raw request socket: whole text and binary messages below 64 KiB, ping and close.
local bit = require "bit"
local ffi = require "ffi"
local byte, char = string.byte, string.char
local band, bxor, rshift = bit.band, bit.bxor, bit.rshift

local buffer = ffi.new("uint8_t[65540]")

-- `masked` is the four bytes of the mask and then the payload.
local function unmask(masked, length)
  ffi.copy(buffer, masked, length + 4)
  for i = 4, length + 3 do
    buffer[i] = bxor(buffer[i], buffer[band(i, 3)])
  end
  return ffi.string(buffer + 4, length)
end

local function frame(opcode, payload)
  local length = #payload
  if length < 126 then
    return char(0x80 + opcode, length) .. payload
  end
  return char(0x80 + opcode, 126, rshift(length, 8), band(length, 0xff)) .. payload
end

local key = ngx.req.get_headers()["sec-websocket-key"]
if not key then
  return ngx.exit(426)
end
ngx.status = 101
ngx.header["Upgrade"] = "websocket"
ngx.header["Connection"] = "Upgrade"
ngx.header["Sec-WebSocket-Accept"] = ngx.encode_base64(ngx.sha1_bin(key .. "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
ngx.header["Content-Type"] = nil
ngx.send_headers()
ngx.flush(true)

local socket = ngx.req.socket(true)
socket:settimeout(60000)
while true do
  local head = socket:receive(2)
  if not head then
    return
  end
  local first, second = byte(head, 1, 2)
  local opcode, length = band(first, 0x0f), band(second, 0x7f)
  if length == 126 then
    local high, low = byte(socket:receive(2), 1, 2)
    length = high * 256 + low
  elseif length == 127 then
    return
  end
  local masked = socket:receive(4 + length)
  if not masked then
    return
  end
  local payload = unmask(masked, length)
  if opcode == 0x8 then
    socket:send(frame(0x8, payload))
    return
  elseif opcode == 0x9 then
    socket:send(frame(0xA, payload))
  elseif opcode < 0x8 then
    socket:send(frame(opcode, payload))
  end
end
