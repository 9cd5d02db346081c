function on_message(msg, conn)
  local waiting, err = mix.queue.push("bench", msg.data)
  if err then
    conn:close(1013, err)
  end
end
