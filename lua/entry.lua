-- The script of the walk-through: whatever a client sends goes to the queue "foo", together with what is known about
-- the client, for a backend to consume and to answer by mesh.send.

-- Once in ten seconds is enough: every message may have the same problem, and the metrics count what a full topic refuses.
local complained = 0
local function complain(problem)
  if math.abs(mix.time() - complained) >= 10 then
    complained = mix.time()
    mix.log(mix.ERROR, problem)
  end
end

function on_handshake(client_id, headers, server, conn)
  conn:set_context_value("headers", headers)
end

function on_message(msg, conn)
  local message, err = mix.json_encode({ msg = msg, ctx = conn:context() })
  if err then
    complain("cannot encode the message: " .. err)
    return
  end
  local _, push_err = mix.queue.push("foo", message)
  if push_err then
    complain("cannot push to foo: " .. push_err)
  end
end

function on_close(client_id, err, conn)
end
