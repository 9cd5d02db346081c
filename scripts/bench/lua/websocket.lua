local websocket = require("protocols.websocket")

protocol_input, protocol_decode, protocol_encode = websocket.input, websocket.decode, websocket.encode
on_close = websocket.on_close

function on_message(msg, conn)
  conn:send(msg.data)
end
