// Listens to the demo's ticks for some seconds and says what came. For a container of the stack, which has Node and the network:
//
//   docker compose exec -T demo node --input-type=module - 5 '?channels=BTC.trade' < deploy/compose/ticks.mjs
//
// Prints one line of JSON. The demo numbers its ticks per symbol, so a client of all channels knows what is missing or doubled.
const [seconds, query = ""] = process.argv.slice(2);
const socket = new WebSocket(`ws://shardcast:3005/${query}`);
/** symbol → numbers seen */
const seen = new Map();
let ticks = 0;
let doubled = 0;
/** Trades and quotes are read side by side: at both ends of the time one of them may be a little ahead. */
const edge = 5;

function missing(numbers) {
	let count = 0;
	for (let number = Math.min(...numbers) + edge; number < Math.max(...numbers) - edge; number++) if (!numbers.has(number)) count++;
	return count;
}

socket.onmessage = ({ data }) => {
	const { symbol, sequence } = JSON.parse(data);
	const numbers = seen.get(symbol) ?? new Set();
	ticks++;
	if (numbers.has(sequence)) doubled++;
	seen.set(symbol, numbers.add(sequence));
};
socket.onopen = () => setTimeout(() => socket.close(1000), Number(seconds) * 1000);
socket.onclose = ({ code }) =>
	console.log(JSON.stringify({ ticks, missing: [...seen.values()].map(missing).reduce((sum, count) => sum + count, 0), doubled, code }));
