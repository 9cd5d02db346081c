-- Comments that fly over a video: see README.md beside this file for the dialogue.

local MAX_TEXT = 100

local function send(conn, message)
  return conn:send(mix.json_encode(message))
end

local operations = {}

-- A viewer watches one video at a time.
function operations.watch(request, conn)
  if type(request.video) ~= "number" then
    return "expected video to be a number"
  end
  local before = conn:context_value("video")
  if before then
    conn:unsubscribe("video:" .. before)
  end
  conn:set_context_value("video", request.video)
  return conn:subscribe("video:" .. request.video)
end

-- The backend decides what is shown: it consumes "comments" and publishes to the video's channel.
function operations.comment(request, conn)
  local video = conn:context_value("video")
  if not video then
    return "watch a video first"
  elseif type(request.at) ~= "number" or type(request.text) ~= "string" then
    return "expected at (seconds) and text"
  elseif request.text == "" or utf8.len(request.text) > MAX_TEXT then
    return "expected 1 to " .. MAX_TEXT .. " characters of text"
  end
  local _, err = mix.queue.push("comments", { video = video, at = request.at, text = request.text })
  return err
end

function on_message(msg, conn)
  local request = mix.json_decode(msg.data)
  local operation = type(request) == "table" and operations[request.op]
  if not operation then
    return send(conn, { ok = false, error = "expected a JSON object with op watch or comment" })
  end
  local err = operation(request, conn)
  send(conn, { op = request.op, ok = not err, error = err })
end
