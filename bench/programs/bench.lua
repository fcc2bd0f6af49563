-- An interpreter at work: permutations, queens, words counted and sorted, strings, closures.
local sum = 0
local function mix(v) sum = (sum * 31 + v) % 2147483647 end

local function fannkuch(n)
  local p, q, s, sign, most, total = {}, {}, {}, 1, 0, 0
  for i = 1, n do p[i] = i; q[i] = i; s[i] = i end
  repeat
    local first = p[1]
    if first ~= 1 then
      for i = 2, n do q[i] = p[i] end
      local flips = 1
      while true do
        local qq = q[first]
        if qq == 1 then
          total = total + sign * flips
          if flips > most then most = flips end
          break
        end
        q[first] = first
        if first >= 4 then
          local i, j = 2, first - 1
          repeat q[i], q[j] = q[j], q[i]; i = i + 1; j = j - 1 until i >= j
        end
        first = qq; flips = flips + 1
      end
    end
    if sign == 1 then
      p[1], p[2] = p[2], p[1]; sign = -1
    else
      p[2], p[3] = p[3], p[2]; sign = 1
      for i = 3, n do
        local sx = s[i]
        if sx ~= 1 then s[i] = sx - 1; break end
        if i == n then return total, most end
        s[i] = i
        local t = p[1]
        for j = 1, i do p[j] = p[j + 1] end
        p[i + 1] = t
      end
    end
  until false
end

local function queens(n)
  local columns, up, down, found = {}, {}, {}, 0
  local function place(row)
    if row > n then found = found + 1; return end
    for c = 1, n do
      if not (columns[c] or up[row + c] or down[row - c + n]) then
        columns[c], up[row + c], down[row - c + n] = true, true, true
        place(row + 1)
        columns[c], up[row + c], down[row - c + n] = nil, nil, nil
      end
    end
  end
  place(1)
  return found
end

local function words()
  local text, seed = {}, 42
  for i = 1, 8000 do
    seed = (seed * 1103515245 + 12345) % 2147483648
    text[i] = string.format("w%x", seed // 65536 % 700)
  end
  local counts, list = {}, {}
  for w in table.concat(text, " "):gmatch("%w+") do counts[w] = (counts[w] or 0) + 1 end
  for w in pairs(counts) do list[#list + 1] = w end
  table.sort(list, function(a, b) return counts[a] > counts[b] or (counts[a] == counts[b] and a < b) end)
  local r = 0
  for i, w in ipairs(list) do r = (r * 7 + counts[w] * i + #w + w:byte(-1)) % 1000003 end
  return r + #(table.concat(list, ","):gsub("w1", "<one>"):upper())
end

local function numbers()
  local function adder(k) return function(x) return x * 0.5 + k end end
  local x = 0.0
  for i = 1, 100000 do x = adder(i % 7)(x) end
  return math.floor(x * 1000000)
end

for n = 1, 4 * (tonumber(arg and arg[1]) or 1) do
  local total, most = fannkuch(7)
  mix(total); mix(most)
  mix(queens(6 + n % 2))
  mix(words())
  mix(numbers())
end
print(string.format("%08x", sum))
