// A backend that draws a video and sends a file, and the page that shows both. In two terminals:
//   node examples/gateway/demo.mjs
//   shardcast gateway 3020 127.0.0.1:9001
// Then open http://127.0.0.1:8080. Both frames and files are invented: replace `drawFrame` and `chunkAt`.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { FrameClass, listen } from "./gateway-backend.mjs";

const usage = `usage: node examples/gateway/demo.mjs [--port 9001] [--web 8080] [--announce 127.0.0.1:9999]
  --announce  where gateways with --discover listen; GATEWAY_SECRET in the environment signs it`;
const width = 320;
const height = 180;
const frameMs = 40;
/** With the class and the 12 bytes that it begins with, a chunk fits into a gateway's buffer of 32 KiB. */
const chunkBytes = (32 << 10) - 16;
/** How many frames of a file may be unacknowledged: half of the 64 that a gateway holds for a client, so that no file ever stops a video. */
const windowFrames = 32;
const fileBytesMax = 1 << 30;

const now = () => performance.timeOrigin + performance.now();
const clients = new Set();

/** Pixels of one byte (3 bits red, 3 green, 2 blue), as runs: how many, which colour. */
function drawFrame(sequence) {
	const pixels = Buffer.alloc(width * height);
	for (let y = 0; y < height; y++)
		pixels.fill(y < 120 ? 0b00000001 + (y >> 5) : 0b00001001 + ((y - 120) >> 4) * 4, y * width, (y + 1) * width);
	const disc = (centreX, centreY, radius, colour) => {
		for (let y = Math.max(0, Math.ceil(centreY - radius)); y < Math.min(height, centreY + radius); y++) {
			const half = Math.sqrt(radius ** 2 - (y - centreY) ** 2);
			const [from, to] = [Math.max(0, Math.round(centreX - half)), Math.min(width, Math.round(centreX + half))];
			if (from < to) pixels.fill(colour, y * width + from, y * width + to);
		}
	};
	disc(240, 50, 24, 0b11111000);
	for (let ball = 0; ball < 6; ball++) {
		const phase = sequence / 25 + ball;
		disc(30 + ((ball * 52 + sequence * 2) % 280), 150 - Math.abs(Math.sin(phase * 2)) * 100, 10 + ball, (0b11100000 >> ball) | 0b10);
	}
	// The frame's number in binary, which shows on the page that frames are skipped and none is torn.
	for (let bit = 0; bit < 16; bit++) disc(20 + bit * 18, 170, 6, (sequence >> (15 - bit)) & 1 ? 0xff : 0b01001001);
	const runs = Buffer.alloc(pixels.length * 2);
	let bytes = 0;
	for (let at = 0; at < pixels.length; ) {
		let length = 1;
		while (length < 255 && pixels[at + length] === pixels[at]) length++;
		runs[bytes++] = length;
		runs[bytes++] = pixels[at];
		at += length;
	}
	return runs.subarray(0, bytes);
}

/** A VIDEO frame: number (4 bytes), time (8, a double), width (2), height (2), runs. */
function videoFrame(sequence) {
	const head = Buffer.alloc(16);
	head.writeUInt32BE(sequence, 0);
	head.writeDoubleBE(now(), 4);
	head.writeUInt16BE(width, 12);
	head.writeUInt16BE(height, 14);
	return Buffer.concat([head, drawFrame(sequence)]);
}

/** The same bytes each time, so that a transfer can go on where another has ended. */
function chunkAt(offset, total) {
	const chunk = Buffer.alloc(Math.min(chunkBytes, total - offset));
	let state = offset + 1;
	for (let at = 0; at + 4 <= chunk.length; at += 4) {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		chunk.writeUInt32LE(state, at);
	}
	return chunk;
}

/**
 * One file on its way to one client. A FILE frame: transfer (4 bytes), offset (4), length of the file (4), bytes. The one with the offset of the
 * end has the SHA-256 instead. The client acknowledges with ACK: 4 (the class), transfer (4), how much it has (4).
 */
class Transfer {
	#client;
	#id;
	#total;
	#sent;
	#acknowledged;
	#isOver = false;
	#wake = () => {};

	constructor(client, { transfer, bytes, from }) {
		this.#client = client;
		this.#id = transfer;
		this.#total = bytes;
		this.#sent = from;
		this.#acknowledged = from;
	}

	async run() {
		const hash = createHash("sha256");
		for (let at = 0; at < this.#sent; at += chunkBytes) hash.update(chunkAt(at, this.#sent));
		while (await this.#hasRoom()) {
			// The hash is a frame like the others, and waits for room as they do.
			if (this.#sent === this.#total) return void (await this.#deliver(hash.digest()));
			const chunk = chunkAt(this.#sent, this.#total);
			hash.update(chunk);
			await this.#deliver(chunk);
			this.#sent += chunk.length;
		}
	}

	/** Once one more frame may be on its way; false if the transfer is over. */
	async #hasRoom() {
		while (!this.#isOver && Math.ceil((this.#sent - this.#acknowledged) / chunkBytes) >= windowFrames)
			await new Promise((resolve) => {
				this.#wake = resolve;
			});
		return !this.#isOver;
	}

	#deliver(bytes) {
		const head = Buffer.alloc(12);
		head.writeUInt32BE(this.#id, 0);
		head.writeUInt32BE(this.#sent, 4);
		head.writeUInt32BE(this.#total, 8);
		return this.#client.deliver(FrameClass.FILE, Buffer.concat([head, bytes]));
	}

	acknowledge(body) {
		if (body.length !== 9 || body.readUInt32BE(1) !== this.#id) return;
		this.#acknowledged = Math.max(this.#acknowledged, Math.min(this.#sent, body.readUInt32BE(5)));
		this.#wake();
	}

	end() {
		this.#isOver = true;
		this.#wake();
	}
}

/** What a client may ask for, as JSON in CONTROL frames. */
const requests = {
	/** The two clocks are compared, since the latency of a frame is from the one to the other. */
	time: (client, { at }) => client.send(FrameClass.CONTROL, Buffer.from(JSON.stringify({ type: "time", at, here: now() }))),
	watch(client) {
		client.data.isWatching = true;
	},
	get(client, { transfer, bytes, from }) {
		const isCount = (value, max) => Number.isInteger(value) && value >= 0 && value <= max;
		if (
			!isCount(transfer, 0xffffffff) ||
			!isCount(bytes, fileBytesMax) ||
			!isCount(from, bytes) ||
			(from % chunkBytes !== 0 && from !== bytes)
		)
			throw new Error(`client ${client.id}: get needs a transfer, up to ${fileBytesMax} bytes, and a whole number of chunks to leave out`);
		client.data.transfer?.end();
		client.data.transfer = new Transfer(client, { transfer, bytes, from });
		// Not awaited: its acknowledgements come over the connection that this request has come over.
		void client.data.transfer.run();
	},
};

function onFrame(client, frameClass, body) {
	if (frameClass === FrameClass.ACK && body[0] === FrameClass.FILE) client.data.transfer?.acknowledge(body);
	if (frameClass !== FrameClass.CONTROL) return;
	const request = JSON.parse(body);
	if (!Object.hasOwn(requests, request.type)) throw new Error(`client ${client.id} asks for "${request.type}"`);
	requests[request.type](client, request);
}

function portOf(option, text) {
	if (!/^\d+$/.test(text) || Number(text) > 65535)
		throw new Error(`--${option}: "${text}" is not a port; ports go from 0 (a free one) to 65535`);
	return Number(text);
}

/** The announcement for --announce, or null. */
function announcementOf(to, secret) {
	if (to === undefined) return null;
	const [, port] = /^[^\s:]+:(\d+)$/.exec(to) ?? [];
	if (!(port >= 1 && port <= 65535)) throw new Error(`--announce: "${to}" is not host:port, such as 127.0.0.1:9999`);
	if (secret !== undefined && !/^\S{16,}$/.test(secret)) throw new Error("GATEWAY_SECRET needs at least 16 characters, and no white space");
	return { name: "demo", to: [to], secret };
}

let ports;
let announce;
try {
	const options = {
		port: { type: "string", default: "9001" },
		web: { type: "string", default: "8080" },
		announce: { type: "string" },
		help: { type: "boolean", short: "h" },
	};
	const { values } = parseArgs({ options });
	if (values.help) {
		console.log(usage);
		process.exit();
	}
	ports = { backend: portOf("port", values.port), web: portOf("web", values.web) };
	announce = announcementOf(values.announce, process.env.GATEWAY_SECRET);
} catch (error) {
	console.error(`${error.message}\n${usage}`);
	process.exit(2);
}

function fail(message) {
	console.error(`demo: ${message}`);
	process.exit(1);
}

const backend = await listen(ports.backend, {
	onFrame,
	onClientJoined: (client) => clients.add(client),
	onClientLeft(client) {
		clients.delete(client);
		client.data.transfer?.end();
	},
	onGatewayUp: ({ id }) => console.log(`gateway ${id} is connected`),
	onGatewayDown: ({ id }) => console.log(`gateway ${id} has gone`),
	announce,
}).catch(({ message }) => fail(`${message}; choose another one with --port`));

let sequence = 0;
setInterval(() => {
	const watching = [...clients].filter(({ data }) => data.isWatching);
	if (watching.length === 0) return;
	const frame = videoFrame(sequence++);
	// A client that is behind gets the newest frame once it has room for it: gateway and library drop the older ones.
	for (const client of watching) client.send(FrameClass.VIDEO, frame);
}, frameMs);

const page = readFileSync(new URL("page.html", import.meta.url));
const web = createServer((request, response) => {
	const isPage = request.method === "GET" && new URL(request.url, "http://page").pathname === "/";
	response.writeHead(isPage ? 200 : 404, { "content-type": "text/html; charset=utf-8" }).end(isPage ? page : "not found");
});
web.once("error", ({ code }) => fail(`the page cannot be served on port ${ports.web} (${code}); choose another one with --web`));
web.listen(ports.web, "127.0.0.1", () => {
	console.log(`the backend listens on port ${backend.port}, its page is at http://127.0.0.1:${web.address().port}`);
});

for (const signal of ["SIGINT", "SIGTERM"])
	process.once(signal, async () => {
		await backend.close();
		process.exit(0);
	});
