-- Which of the known names a wrong one was probably meant to be.
local near = {}

-- What people mix up says nothing: case, and the signs between words.
local function plain(name)
  return (name:lower():gsub("[_%-%. ]", ""))
end

-- How many letters must be changed, added, left out or swapped (Damerau and Levenshtein, neighbours only).
local function distance(a, b)
  local before, last, this = {}, {}, {}
  for j = 0, #b do
    last[j] = j
  end
  for i = 1, #a do
    this[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      this[j] = math.min(last[j] + 1, this[j - 1] + 1, last[j - 1] + cost)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        this[j] = math.min(this[j], before[j - 2] + 1)
      end
    end
    before, last, this = last, this, before
  end
  return last[#b]
end

-- The nearest of the names, or nil if none is near: a third of the letters may be wrong. A name that begins as
-- another does, and goes on, is the second choice.
function near.nearest(name, names)
  local wanted, best, least, begins = plain(name), nil, nil, nil
  if #wanted == 0 or #wanted > 64 then
    return nil
  end
  for _, known in ipairs(names) do
    local have = plain(known)
    local far = distance(wanted, have)
    if far <= math.max(1, math.floor(#have / 3)) and far < #have and (not least or far < least) then
      best, least = known, far
    end
    local shorter = math.min(#wanted, #have)
    if not begins and shorter >= 3 and wanted:sub(1, shorter) == have:sub(1, shorter) then
      begins = known
    end
  end
  return best or begins
end

return near
