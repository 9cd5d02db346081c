local text = require("protocols.text")

protocol_input, protocol_decode, protocol_encode = text.input, text.decode, text.encode

function on_message(line, conn)
  conn:send(line)
end
