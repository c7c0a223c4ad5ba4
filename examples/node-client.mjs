// A client that stays connected: reconnects with growing, random pauses, and sends what it reads from stdin.
//   node examples/node-client.mjs ws://127.0.0.1:3005 [channel,channel]
import { createInterface } from "node:readline";
import WebSocket from "ws";

const [server = "ws://127.0.0.1:3005", channels = ""] = process.argv.slice(2);
const url = channels === "" ? server : `${server}/?channels=${encodeURIComponent(channels)}`;

const pauseMsMin = 250;
const pauseMsMax = 15_000;
/** The server pings at least this often by default (--idle-timeout 2m); silence for longer means a dead connection. */
const silenceMsMax = 150_000;
let attempts = 0;
let socket = null;

function connect() {
	socket = new WebSocket(url, { handshakeTimeout: 5000 });
	let watchdog;
	const heard = () => {
		clearTimeout(watchdog);
		watchdog = setTimeout(() => socket.terminate(), silenceMsMax);
	};
	socket.on("open", () => {
		attempts = 0;
		heard();
		console.error(`connected to ${url}`);
	});
	socket.on("ping", heard);
	socket.on("message", (data, isBinary) => {
		heard();
		console.log(isBinary ? `<${data.length} bytes>` : data.toString());
	});
	socket.on("error", (error) => console.error(error.message));
	socket.on("close", (code, reason) => {
		clearTimeout(watchdog);
		// 3500 to 3999: do not reconnect, the result would be the same; 3507, for example, means that clients only receive.
		if (code >= 3500 && code <= 3999) {
			console.error(`closed: ${code} ${reason}`);
			process.exit(1);
		}
		// 1001: the server stops or is updated. The random pause keeps clients from reconnecting all at once.
		const pauseMs = Math.random() * Math.min(pauseMsMax, pauseMsMin * 2 ** attempts++) + pauseMsMin;
		console.error(`closed: ${code} ${reason}; again in ${Math.round(pauseMs)} ms`);
		setTimeout(connect, pauseMs);
	});
}
connect();

createInterface({ input: process.stdin }).on("line", (line) => {
	if (socket.readyState === WebSocket.OPEN) socket.send(line);
	else console.error("not connected; the line is not sent");
});
