-- What the clients of the cluster tests may ask for. Every answer is one text message.
local commands = {}

function commands.id(conn) return conn:client_id() end

function commands.subscribe(conn, channel) return conn:subscribe(channel) or "subscribed" end

function commands.unsubscribe(conn, channel) return conn:unsubscribe(channel) or "unsubscribed" end

function commands.publish(_, channel, data)
  local success, fail = mix.mesh.publish(channel, data)
  return ("published %d %d"):format(success, fail)
end

-- Both in one callback: the publish must reach the subscription.
function commands.join(conn, channel, data)
  conn:subscribe(channel)
  return commands.publish(conn, channel, data)
end

function commands.send(_, client, data) return mix.mesh.send(client, data) or "sent" end

function commands.push(_, topic, data)
  local _, err = mix.queue.push(topic, data)
  return err
end

-- As push, for those who want to know that it is in the topic.
function commands.deliver(_, topic, data)
  local waiting, err = mix.queue.push(topic, data)
  return waiting and "delivered" or err
end

function commands.time() return ("%.3f"):format(mix.time()) end

function commands.wait(conn, key) return conn:wait_context_value(key, 10) end

function on_message(msg, conn)
  local name, target, data = msg.data:match("^(%S+) ?(%S*) ?(.*)$")
  local answer = commands[name](conn, target, data)
  if answer then conn:send(tostring(answer)) end
end
