import { Script } from "@shardcast/redis";

/**
 * The keys of a channel: 1 its meta hash, 2 its stream, 3 and on, only to publish: idempotency keys. In the hash: `e` epoch, `s` offset of the last publication, `r` the
 * server that assigned it, `m` how long the hash is kept after its last use, `z` how many publications are kept, `f` the last removed
 * offset.
 *
 * A restarted or promoted server may lack the last acknowledged publications. So the channel gets a new epoch there, unless `trusts` is 1.
 *
 * `open` returns: epoch, offset of the last publication, the server, how long the hash is kept, how many publications are kept (nil = not known yet). The
 * first two arguments of each script are those of `open`: `RedisBroker` adds them.
 */
const open = `
local function open(trusts, fresh, ttl)
  local e, s, r, m, z = unpack(redis.call('HMGET', KEYS[1], 'e', 's', 'r', 'm', 'z'))
  local run = redis.call('INFO', 'server'):match('run_id:(%x+)')
  if e and tonumber(s) and (r == run or trusts == '1') then return e, tonumber(s), run, m or ttl, tonumber(z) end
  -- First what a server without free memory refuses: it lets a script go on that has written something.
  redis.call('HSET', KEYS[1], 'e', fresh, 's', '0', 'r', run, 'f', '0')
  redis.call('DEL', KEYS[2])
  return fresh, 0, run, m or ttl, tonumber(z)
end
`;

/**
 * Arguments: trusts, new epoch, size, ttl, meta ttl, pub/sub channel, then two for each publication: itself, and the ttl of its idempotency key ("" = it
 * has none). Those of idempotency keys follow the other two keys, in the order of the publications.
 * Answer: epoch, offset of the last publication ("" if all were known), and three entries for each publication whose key was used before: its index, offset and
 * epoch. The others have consecutive offsets.
 *
 * So the fixed costs (the epoch's check, the meta hash, the announcement) are paid once for a batch.
 */
export const publishScript = new Script(`${open}
local trusts, fresh, size, ttl, meta, topic = unpack(ARGV, 1, 6)
local e, s, run, first
local key, known, added, lengths = 2, {}, {}, {}
for index = 7, #ARGV, 2 do
  local publication, key_ttl = ARGV[index], ARGV[index + 1]
  local offset, epoch
  if key_ttl ~= '' then
    key = key + 1
    -- Another program may have written something else.
    offset, epoch = (redis.call('GET', KEYS[key]) or ''):match('^(%d+) (.+)$')
  end
  if offset then
    known[#known + 1] = (index - 7) / 2
    known[#known + 1] = offset
    known[#known + 1] = epoch
  else
    if not e then
      e, s, run = open(trusts, fresh, meta)
      first = string.format('%.0f', s + 1)
      -- As if none was known, and before the stream: an error in between leaves a hole, and no offset that the stream has already.
      redis.call('HSET', KEYS[1], 's', string.format('%.0f', s + (#ARGV - index + 1) / 2), 'r', run, 'm', meta, 'z', size)
      redis.call('PEXPIRE', KEYS[1], meta)
    end
    s = s + 1
    offset = string.format('%.0f', s)
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', size, offset .. '-0', 'p', publication)
    if key_ttl ~= '' then redis.call('SET', KEYS[key], offset .. ' ' .. e, 'PX', key_ttl) end
    added[#added + 1] = publication
    lengths[#lengths + 1] = #publication
  end
end
if not e then return {'', '', known} end
s = string.format('%.0f', s)
if #known > 0 then redis.call('HSET', KEYS[1], 's', s) end
redis.call('PEXPIRE', KEYS[2], ttl)
redis.call('SPUBLISH', topic, first .. ' ' .. e .. ' ' .. table.concat(lengths, ',') .. ' ' .. table.concat(added))
return {e, s, known}
`);

/**
 * Arguments: trusts, new epoch, meta ttl of a channel without one, epoch ("" = any), offset ("" = from the beginning, or the end), limit (-1 = none), reverse.
 * Answer: epoch, offset of the last publication, publications, last removed offset. Keeps the channel alive.
 */
export const readScript = new Script(`${open}
local trusts, fresh, meta, epoch, offset, limit, reverse = unpack(ARGV)
local e, s, _, ttl, z = open(trusts, fresh, meta)
-- A server that accepts no writes now can still be read.
redis.pcall('PEXPIRE', KEYS[1], ttl)
local last = string.format('%.0f', s)
local removed = redis.call('HGET', KEYS[1], 'f') or '0'
if limit == '0' or (epoch ~= '' and epoch ~= e) or not z then return {e, last, {}, removed} end
local lowest = s - z + 1
local highest = '+'
if offset ~= '' then
  if reverse == '1' then highest = '(' .. offset .. '-0'
  elseif tonumber(offset) + 1 > lowest then lowest = tonumber(offset) + 1 end
end
if lowest < 1 then lowest = 1 end
local low = string.format('%.0f', lowest) .. '-0'
local count = limit == '-1' and {} or {'COUNT', limit}
if reverse == '1' then return {e, last, redis.call('XREVRANGE', KEYS[2], highest, low, unpack(count)), removed} end
return {e, last, redis.call('XRANGE', KEYS[2], low, '+', unpack(count)), removed}
`);

/**
 * Arguments: trusts, new epoch, meta ttl of a channel without one, pub/sub channel. Removes the publications, and announces it to
 * followers of the channel with a negative offset.
 */
export const removeScript = new Script(`${open}
local trusts, fresh, meta, topic = unpack(ARGV)
local e, s, _, ttl = open(trusts, fresh, meta)
local last = string.format('%.0f', s)
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'f', last)
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('SPUBLISH', topic, '-' .. last .. ' ' .. e .. '  ')
return last
`);
