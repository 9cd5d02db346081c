function on_message(msg, conn)
  conn:send(msg.data)
end
