-- require("prettyprint") makes print show what is in tables. The module is also a function: prettyprint(value) is the text.

local plain_print = print

local ranks = { number = 1, string = 2, boolean = 3 }

-- Numbers first, then strings, then the rest: the same table always looks the same.
local function before(a, b)
  local rank_a, rank_b = ranks[type(a)] or 4, ranks[type(b)] or 4
  if rank_a ~= rank_b then
    return rank_a < rank_b
  end
  if rank_a <= 2 then
    return a < b
  end
  return tostring(a) < tostring(b)
end

local function quoted(value)
  if value == mix.null then
    return "null"
  end
  if type(value) ~= "string" then
    return tostring(value)
  end
  return '"' .. value:gsub('[%c"\\]', function(c)
    if c == "\n" then
      return "\\n"
    elseif c == '"' or c == "\\" then
      return "\\" .. c
    end
    return ("\\x%02x"):format(c:byte())
  end) .. '"'
end

-- `path` holds the tables around this one.
local function append(lines, prefix, value, indent, path)
  if type(value) ~= "table" then
    lines[#lines + 1] = prefix .. quoted(value)
  elseif path[value] then
    lines[#lines + 1] = prefix .. "<contains itself>"
  elseif next(value) == nil then
    lines[#lines + 1] = prefix .. "{}"
  else
    local keys = {}
    for key in next, value do
      keys[#keys + 1] = key
    end
    table.sort(keys, before)
    lines[#lines + 1] = prefix .. "{"
    path[value] = true
    local deeper = indent .. "    "
    for _, key in ipairs(keys) do
      append(lines, deeper .. quoted(key) .. " = ", rawget(value, key), deeper, path)
    end
    path[value] = nil
    lines[#lines + 1] = indent .. "}"
  end
end

local function format(value)
  local lines = {}
  append(lines, "", value, "", {})
  return table.concat(lines, "\n")
end

function print(...)
  local shown = table.pack(...)
  for i = 1, shown.n do
    shown[i] = type(shown[i]) == "table" and format(shown[i]) or tostring(shown[i])
  end
  plain_print(table.unpack(shown, 1, shown.n))
end

return format
