-- Lines of text: each message ends with a newline, before which a carriage return is ignored.
--
--   local text = require("protocols.text")
--   protocol_input, protocol_decode, protocol_encode = text.input, text.decode, text.encode
--   function on_message(line, conn) conn:send("you said " .. line) end

local text = {}

function text.input(buf)
  return buf:find("\n") or 0
end

function text.decode(str)
  local last = #str - 1
  if str:byte(last) == 13 then
    last = last - 1
  end
  return str:sub(1, last)
end

-- A line with a newline in it would arrive as two: it is not sent.
function text.encode(value)
  local line = tostring(value)
  if line:find("\n", 1, true) then
    return nil
  end
  return line .. "\n"
end

return text
