// Listens to the demo's ticks for some seconds and says what came. For a container of the stack, which has Node and the network:
//
//   docker compose exec -T demo node --input-type=module - 5 '?channels=BTC.trade' < deploy/compose/ticks.mjs
//
// Prints one line of JSON. The demo numbers its ticks per symbol, so a client of all channels knows what is missing or doubled.
// Trades and quotes are read side by side and one may be ahead, so what counts are the numbers from those of one second after the
// start to those at the end, and they have three seconds more to come.
const [seconds, query = ""] = process.argv.slice(2);
const warmUpMs = 1000;
const settleMs = 3000;
/** symbol → numbers seen */
const seen = new Map();
let doubled = 0;

const latest = () => new Map([...seen].map(([symbol, numbers]) => [symbol, Math.max(...numbers)]));
const ticks = () => [...seen.values()].reduce((sum, numbers) => sum + numbers.size, 0);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const socket = new WebSocket(`ws://shardcast:3005/${query}`);
/** 0 while the connection lives. */
let closed = 0;
socket.onclose = ({ code }) => {
	closed = code;
};
socket.onmessage = ({ data }) => {
	const { symbol, sequence } = JSON.parse(data);
	const numbers = seen.get(symbol) ?? new Set();
	if (numbers.has(sequence)) doubled++;
	seen.set(symbol, numbers.add(sequence));
};
await pause(warmUpMs);
const first = latest();
await pause(Number(seconds) * 1000 - warmUpMs);
const last = latest();
const came = ticks();
await pause(settleMs);

let missing = 0;
for (const [symbol, from] of first)
	for (let number = from; number <= last.get(symbol); number++)
		if (!seen.get(symbol).has(number)) {
			missing++;
			if (missing <= 10 && query === "") console.error(`${symbol} ${number} of ${from} to ${last.get(symbol)} is missing`);
		}
console.log(JSON.stringify({ ticks: came, missing, doubled, closed }));
process.exit(0);
