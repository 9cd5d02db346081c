-- Every client is in the channel "bench" and is told its id.
function on_handshake(client_id, headers, server, conn)
  conn:subscribe("bench")
  conn:send(conn:client_id())
end

function on_message(msg, conn) end
