-- {"op":"join","room":N} and {"op":"say","text":"…"}: the room is kept in the context, what is said goes to all of it.

function on_message(msg, conn)
  local message, err = mix.json_decode(msg.data)
  if err then
    conn:close(1007, "not JSON")
    return
  end
  if message.op == "join" then
    local room = "room:" .. message.room
    conn:set_context_value("room", room)
    conn:subscribe(room)
  else
    local room = conn:context_value("room")
    mix.mesh.publish(room, mix.json_encode({ event = "say", room = room, text = message.text }))
  end
  conn:send(mix.json_encode({ ok = true }))
end
