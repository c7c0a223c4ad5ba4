// A backend of `shardcast gateway` in one file without dependencies, to copy into your project. Node 20 or later. An echo:
//
//   import { listen } from "./gateway-backend.mjs";
//   await listen(9001, { onFrame: (client, frameClass, body) => client.deliver(frameClass, body) });
//
// docs/reference/gateway-backends.md describes all of it, and gateway-protocol.md what passes between a gateway and a backend. gateway_backend.py
// is the same in Python.
import { createHmac, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer, isIP } from "node:net";

/** The first byte of each payload. The gateway answers for LINK itself. */
export const FrameClass = Object.freeze({ LINK: 0, CONTROL: 1, VIDEO: 2, ACK: 3, FILE: 4 });

const headerBytes = 12;
const everyone = 0;
/** A gateway that has said hello on one connection opens the other within this time. */
const pairMsMax = 5000;
const announceEveryMs = 5000;
/** `close` waits so long for gateways to take what was sent. */
const closeMsMax = 5000;
/** Clients that have left and of which frames may still arrive on the other connection. The oldest are forgotten. */
const leftMax = 1024;

const defaults = {
	host: "127.0.0.1",
	/**
	 * `(client, frameClass, body)`. While the promise that it returns is pending, nothing more is read from that connection, and so the gateway
	 * holds the client's frames back. Do not wait in it for another frame, which could not arrive; start such work without returning it.
	 */
	onFrame: () => {},
	onClientJoined: (_client) => {},
	onClientLeft: (_client) => {},
	/** A gateway has both of its connections, or has lost them. */
	onGatewayUp: (_gateway) => {},
	onGatewayDown: (_gateway) => {},
	/** An error of a handler, or of what a connection sent; the latter is closed. */
	onProblem: (error) => console.error(`gateway-backend: ${error.message}`),
	/** A longer payload ends its connection. Give the gateway the same limit. */
	maxFrame: 8 << 20,
	/** Once so many bytes wait for a connection of a gateway, it takes no more. */
	queueBytes: 4 << 20,
	/** The same for VIDEO, which is worthless when it is late. */
	videoQueueBytes: 256 << 10,
	/** `{ name?, secret?, host?, to?: ["127.0.0.1:9999"] }`: tell gateways with --discover where this backend is. A broadcast address will do. */
	announce: null,
};

const isText = (value) => typeof value === "string";
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const callback = ["a function", (value) => typeof value === "function"];
const positive = ["a positive whole number", (value) => Number.isSafeInteger(value) && value > 0];

/** What each option must be. */
const rules = {
	host: ["text that is not empty", (value) => isText(value) && value !== ""],
	onFrame: callback,
	onClientJoined: callback,
	onClientLeft: callback,
	onGatewayUp: callback,
	onGatewayDown: callback,
	onProblem: callback,
	maxFrame: positive,
	queueBytes: positive,
	videoQueueBytes: positive,
	announce: ["an object with any of name, secret, host and to", (value) => value === null || isObject(value)],
};
/** Gateways ignore an announcement that is otherwise. */
const announceRules = {
	name: [
		"text of at most 64 characters, none of them a control character",
		(value) => isText(value) && value.length <= 64 && !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(value),
	],
	secret: ["text of at least 16 characters without white space", (value) => isText(value) && value.length >= 16 && !/\s/.test(value)],
	host: ["the IP address of one machine", isMachine],
	to: ['a list of "host:port", such as ["127.0.0.1:9999"]', (value) => Array.isArray(value) && value.length > 0 && value.every(addressOf)],
};

/** Not an address of all machines, of a group, or of none. */
function isMachine(value) {
	if (!isText(value) || isIP(value) === 0 || value.includes("%")) return false;
	if (isIP(value) === 4) return !/^(0|22[4-9]|2[345]\d)\./.test(value);
	const canonical = new URL(`http://[${value}]`).hostname;
	return !/^\[(::\]|ff)/.test(canonical) && !/^\[::ffff:(0?|[ef][\da-f]{3}|[\da-f]{1,2}):/.test(canonical);
}

/** Throws if a name is unknown or a value wrong, which it does not tell: it may be a secret. What is undefined counts as left out. */
function check(given, rulesByName, prefix = "") {
	const names = Object.keys(rulesByName);
	for (const [name, value] of Object.entries(given)) {
		if (!names.includes(name))
			throw new TypeError(`there is no option ${prefix}${name}${hint(name, names)}; there are ${names.join(", ")}`);
		const [mustBe, isRight] = rulesByName[name];
		if (value !== undefined && !isRight(value)) throw new TypeError(`the option ${prefix}${name} must be ${mustBe}`);
	}
}

/** The name that has most pairs of letters in common with a wrong one. */
function hint(wrong, names) {
	const pairs = (name) => Array.from(name.slice(1), (letter, at) => (name[at] + letter).toLowerCase());
	const common = (name) => pairs(name).filter((pair) => pairs(wrong).includes(pair)).length / Math.max(name.length, wrong.length);
	const [best] = [...names].sort((one, other) => common(other) - common(one));
	return common(best) > 0.4 ? ` (did you mean ${best}?)` : "";
}

/** Of "host:port"; null if it is something else. IPv6 has no broadcasts, so it is not used here. */
function addressOf(text) {
	const [, host, port] = /^([^\s:]+):(\d{1,5})$/.exec(isText(text) ? text : "") ?? [];
	return Number(port) >= 1 && Number(port) <= 65_535 ? { host, port: Number(port) } : null;
}

/** Takes gateways on a port (0 = a free one, see `backend.port`). Rejects if an option is wrong, or if it can't listen there. */
export async function listen(port, options = {}) {
	if (!isObject(options)) throw new TypeError("the options must be an object");
	check(options, rules);
	check(options.announce ?? {}, announceRules, "announce.");
	// Of text, Node would make the path of a socket.
	if (!Number.isInteger(port) || port < 0 || port > 65_535)
		throw new TypeError(`the port is ${JSON.stringify(port)}; give a whole number from 0 (a free one) to 65535`);
	const given = Object.entries(options).filter(([, value]) => value !== undefined);
	const backend = new Backend({ ...defaults, ...Object.fromEntries(given) });
	await backend.start(port);
	return backend;
}

class Backend {
	stats = { framesIn: 0, framesOut: 0, refused: 0, videoDropped: 0, brokenConnections: 0, handlerErrors: 0 };
	/** By their id. */
	gateways = new Map();
	#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
	#sockets = new Set();
	#isClosing = false;
	#announcer = null;

	constructor(options) {
		this.options = options;
	}

	async start(port) {
		await new Promise((resolve, reject) => {
			this.#server.once("error", (error) => reject(cannotListen(error, port, this.options.host)));
			this.#server.listen(port, this.options.host, resolve);
		});
		this.port = this.#server.address().port;
		if (this.options.announce !== null) this.#announcer = new Announcer(this.port, this.options);
	}

	/**
	 * To all clients of all gateways. False if a gateway has no room (see `Client.send`); then none got it.
	 */
	send(frameClass, body) {
		checkFrame(frameClass, body, this.options.maxFrame);
		const pairs = [...this.gateways.values()].filter(({ isUp }) => isUp);
		if (!pairs.every((pair) => pair.hasRoom(frameClass))) return this.refuse(frameClass);
		for (const pair of pairs) pair.send(everyone, frameClass, body);
		return true;
	}

	/** The same, once all have room. */
	async deliver(frameClass, body) {
		while (!this.send(frameClass, body)) await Promise.all([...this.gateways.values()].map((pair) => pair.drained(frameClass)));
	}

	/**
	 * Says goodbye to --discover, and ends all connections after what was sent. A gateway that has not taken it after 5 seconds does not get the rest.
	 */
	async close() {
		await this.#announcer?.stop();
		this.#isClosing = true;
		const closed = new Promise((resolve) => this.#server.close(resolve));
		for (const pair of [...this.gateways.values()]) pair.end("end");
		for (const socket of this.#sockets) socket.end();
		const late = setTimeout(() => {
			for (const socket of this.#sockets) socket.destroy();
		}, closeMsMax);
		await closed;
		clearTimeout(late);
	}

	refuse(frameClass) {
		this.stats.refused++;
		if (frameClass === FrameClass.VIDEO) this.stats.videoDropped++;
		return false;
	}

	async #accept(socket) {
		this.#sockets.add(socket);
		const connection = { socket, pair: null };
		const hello = setTimeout(() => {
			socket.destroy(new Error("a connection did not become a pair in time"));
			connection.pair?.end();
		}, pairMsMax);
		try {
			const reader = new FrameReader(this.options.maxFrame);
			for await (const chunk of socket.iterator({ destroyOnReturn: false }))
				for (const frame of reader.push(chunk)) {
					// Bytes that nobody reads would break the connection, and with it what was sent.
					if (this.#isClosing || connection.pair?.hasEnded) continue;
					if (connection.pair === null) {
						this.#pair(connection, frame);
						// Until then a frame might name a client of which the other connection has not spoken, and could not be answered.
						await connection.pair.complete;
						clearTimeout(hello);
					} else {
						const pending = connection.pair.handle(frame);
						if (pending !== undefined) await pending;
					}
				}
			clearTimeout(hello);
			// The gateway has ended its side, and still reads what was sent.
			connection.pair?.end("end");
			await flushed(socket);
		} catch (error) {
			// A gateway that goes away is no problem.
			if (error.code === undefined) {
				this.stats.brokenConnections++;
				this.options.onProblem(error);
			}
		} finally {
			clearTimeout(hello);
			socket.destroy();
			this.#sockets.delete(socket);
			connection.pair?.end();
		}
	}

	#pair(connection, { frameClass, body }) {
		const hello = frameClass === FrameClass.LINK ? JSON.parse(body) : {};
		const { type, version, link, gateway } = hello;
		if (type !== "hello" || (link !== "control" && link !== "data") || typeof gateway !== "string")
			throw new Error("a connection did not begin with a hello; is it a gateway?");
		if (version !== 1) throw new Error(`a gateway speaks version ${version}, and this backend version 1`);
		let pair = this.gateways.get(gateway);
		if (pair === undefined || pair[link] !== null) {
			// A second one of the kind: the gateway has lost the first, even if that is not known here yet.
			pair?.end();
			pair = new Gateway(gateway, this);
			this.gateways.set(gateway, pair);
		}
		pair.add(link, connection.socket);
		connection.pair = pair;
	}

	/** Calls a handler: an error in it ends neither the program nor a connection. */
	call(handler, ...given) {
		const failed = (error) => {
			this.stats.handlerErrors++;
			this.options.onProblem(error);
		};
		try {
			const result = handler(...given);
			return typeof result?.then === "function" ? result.then(undefined, failed) : undefined;
		} catch (error) {
			failed(error);
		}
	}
}

/** A gateway would drop a frame of any other class, and end the connection at one that is too long. */
function checkFrame(frameClass, body, maxFrame) {
	if (frameClass === FrameClass.LINK || !Object.values(FrameClass).includes(frameClass))
		throw new TypeError(`there is no class ${JSON.stringify(frameClass)} to send: it is FrameClass.CONTROL, VIDEO, ACK or FILE`);
	// A string has fewer characters than bytes, so the gateway would look for the next frame in the wrong place.
	if (!(body instanceof Uint8Array)) throw new TypeError("a body is bytes: wrap text in Buffer.from(…)");
	const length = body.length + 1;
	if (length > maxFrame) throw new RangeError(`a payload of ${length} bytes is longer than maxFrame, ${maxFrame}`);
}

/** The same error, with a message for people, and without the lines of Node's code that it comes from. */
function cannotListen(error, port, host) {
	const why = {
		EADDRINUSE: "another program listens there",
		EACCES: "that needs more rights",
		EADDRNOTAVAIL: "this machine has no such address",
	};
	error.message = `cannot listen on port ${port} of ${host}: ${why[error.code] ?? error.message}`;
	error.stack = `Error: ${error.message}`;
	return error;
}

/** One gateway: its two connections, and the clients that are connected to it. */
class Gateway {
	control = null;
	data = null;
	/** Those that are there, by id. An id says nothing about the clients of another gateway. */
	clients = new Map();
	#left = new Map();
	#ended = false;
	/** `{ socket, bytes, resolve }`: who waits until no more than so many bytes wait. */
	#waiters = [];

	constructor(id, backend) {
		this.id = id;
		this.backend = backend;
		this.complete = new Promise((resolve) => {
			this.completed = resolve;
		});
	}

	get hasEnded() {
		return this.#ended;
	}

	get isUp() {
		return !this.#ended && this.control !== null && this.data !== null;
	}

	add(link, socket) {
		this[link] = socket;
		if (!this.isUp) return;
		this.completed();
		this.backend.call(this.backend.options.onGatewayUp, this);
	}

	/** Undefined, or a promise if the next frame must wait. */
	handle({ clientId, frameClass, body }) {
		if (!this.isUp) return;
		if (frameClass === FrameClass.LINK) return this.#linkMessage(JSON.parse(body));
		this.backend.stats.framesIn++;
		return this.backend.call(this.backend.options.onFrame, this.#client(clientId), frameClass, body);
	}

	#linkMessage({ type, client, clients }) {
		if (type === "ping") this.#write(this.control, everyone, FrameClass.LINK, Buffer.from('{"type":"pong"}'));
		else if (type === "client_joined") this.#client(client);
		else if (type === "clients") for (const each of clients) this.#client(each);
		else if (type === "client_left") this.#leave(client);
		// What it does not know is from a newer gateway.
	}

	/** A frame on one connection may be faster than the news of its client on the other. */
	#client(id) {
		const known = this.clients.get(id) ?? this.#left.get(id);
		if (known !== undefined) return known;
		const client = new Client(id, this);
		this.clients.set(id, client);
		this.backend.call(this.backend.options.onClientJoined, client);
		return client;
	}

	#leave(id) {
		const client = this.clients.get(id);
		if (client === undefined) return;
		this.clients.delete(id);
		client.isHere = false;
		this.#left.set(id, client);
		if (this.#left.size > leftMax) this.#left.delete(this.#left.keys().next().value);
		this.backend.call(this.backend.options.onClientLeft, client);
	}

	/** A gateway that has lost one of the two opens both again. @param how "end" = after what was sent. */
	end(how = "destroy") {
		if (this.#ended) return;
		const wasUp = this.isUp;
		this.#ended = true;
		if (this.backend.gateways.get(this.id) === this) this.backend.gateways.delete(this.id);
		this.control?.[how]();
		this.data?.[how]();
		this.completed();
		this.#wakeWaiters();
		for (const id of [...this.clients.keys()]) this.#leave(id);
		if (wasUp) this.backend.call(this.backend.options.onGatewayDown, this);
	}

	#socketFor(frameClass) {
		return frameClass === FrameClass.VIDEO || frameClass === FrameClass.FILE ? this.data : this.control;
	}

	#bytesMax(frameClass) {
		return frameClass === FrameClass.VIDEO ? this.backend.options.videoQueueBytes : this.backend.options.queueBytes;
	}

	hasRoom(frameClass) {
		return this.#socketFor(frameClass).writableLength < this.#bytesMax(frameClass);
	}

	/** For `Backend` and `Client`, which have checked the frame, whether there is room, and whether the client is there. */
	send(clientId, frameClass, body) {
		this.backend.stats.framesOut++;
		this.#write(this.#socketFor(frameClass), clientId, frameClass, body);
	}

	/** Once half of the room for that class is free, or the gateway has gone. */
	drained(frameClass) {
		const [socket, bytes] = [this.#socketFor(frameClass), this.#bytesMax(frameClass) / 2];
		if (!this.isUp || socket.writableLength <= bytes) return Promise.resolve();
		return new Promise((resolve) => this.#waiters.push({ socket, bytes, resolve }));
	}

	#wakeWaiters = () => {
		if (this.#waiters.length === 0) return;
		const isDone = ({ socket, bytes }) => this.#ended || socket.writableLength <= bytes;
		for (const { resolve } of this.#waiters.filter(isDone)) resolve();
		this.#waiters = this.#waiters.filter((waiter) => !isDone(waiter));
	};

	/** All frames of a turn of the event loop leave in one write. */
	#write(socket, clientId, frameClass, body) {
		const head = Buffer.allocUnsafe(headerBytes + 1);
		head.writeUInt32BE(body.length + 1, 0);
		head.writeUInt32BE(clientId, 4);
		head.writeUInt32BE(0, 8);
		head[headerBytes] = frameClass;
		if (socket.writableCorked === 0) {
			socket.cork();
			process.nextTick(() => socket.uncork());
		}
		socket.write(head);
		socket.write(body, this.#wakeWaiters);
	}
}

/** Ends a socket. Resolves once it has written all, or after 5 seconds. */
function flushed(socket) {
	return new Promise((resolve) => {
		const late = setTimeout(resolve, closeMsMax);
		socket.end(() => {
			clearTimeout(late);
			resolve();
		});
	});
}

class Client {
	/** False once it has left. What is sent to it then goes nowhere. */
	isHere = true;
	/** For you. */
	data = {};

	constructor(id, gateway) {
		this.id = id;
		this.gateway = gateway;
	}

	/**
	 * Takes `body` (bytes) for this client, without copying it. False if so much waits for the gateway that there is no room, or if the client has
	 * left: then nothing was taken. Slow down, skip it, or use `deliver`.
	 */
	send(frameClass, body) {
		this.#check(frameClass, body);
		if (!this.isHere || !this.gateway.isUp) return false;
		if (!this.gateway.hasRoom(frameClass)) return this.gateway.backend.refuse(frameClass);
		this.gateway.send(this.id, frameClass, body);
		return true;
	}

	/** The same, once there is room. False if the client has left before. */
	async deliver(frameClass, body) {
		this.#check(frameClass, body);
		while (this.isHere && this.gateway.isUp) {
			if (this.send(frameClass, body)) return true;
			await this.gateway.drained(frameClass);
		}
		return false;
	}

	#check(frameClass, body) {
		checkFrame(frameClass, body, this.gateway.backend.options.maxFrame);
	}
}

/** Makes frames of a stream of bytes, wherever it is split. Memory is taken for one payload at a time, after its length was checked. */
class FrameReader {
	#head = Buffer.alloc(headerBytes);
	#headBytes = 0;
	#payload = null;
	#payloadBytes = 0;
	#maxFrame;

	constructor(maxFrame) {
		this.#maxFrame = maxFrame;
	}

	*push(chunk) {
		for (let at = 0; at < chunk.length; ) {
			if (this.#payload === null) {
				const copied = chunk.copy(this.#head, this.#headBytes, at);
				at += copied;
				this.#headBytes += copied;
				if (this.#headBytes < headerBytes) return;
				const length = this.#head.readUInt32BE(0);
				if (length === 0 || length > this.#maxFrame)
					throw new RangeError(`a frame with a payload of ${length} bytes; from 1 to ${this.#maxFrame} are allowed (maxFrame)`);
				this.#payload = Buffer.allocUnsafe(length);
				this.#payloadBytes = 0;
			}
			const copied = chunk.copy(this.#payload, this.#payloadBytes, at);
			at += copied;
			this.#payloadBytes += copied;
			if (this.#payloadBytes < this.#payload.length) return;
			const payload = this.#payload;
			this.#payload = null;
			this.#headBytes = 0;
			yield { clientId: this.#head.readUInt32BE(4), frameClass: payload[0], body: payload.subarray(1) };
		}
	}
}

/** Tells gateways over UDP where this backend is. */
class Announcer {
	#socket = createSocket("udp4");
	#timer;

	constructor(port, { announce, onProblem }) {
		this.port = port;
		this.announce = announce;
		this.targets = (announce.to ?? ["127.0.0.1:9999"]).map(addressOf);
		this.#socket.on("error", onProblem);
		this.#socket.bind(0, () => {
			this.#socket.setBroadcast(true);
			this.#send(false);
		});
		this.#timer = setInterval(() => this.#send(false), announceEveryMs);
	}

	async stop() {
		clearInterval(this.#timer);
		await this.#send(true);
		this.#socket.close();
	}

	async #send(leaving) {
		const datagram = announcementOf({ ...this.announce, port: this.port, leaving });
		await Promise.all(
			this.targets.map(({ host, port }) => new Promise((resolve) => this.#socket.send(datagram, port, host, () => resolve()))),
		);
	}
}

/** The datagram, signed if there is a secret: an HMAC of the values, one per line. */
function announcementOf({ host = "", port, name = "", secret, leaving }) {
	const [time, nonce] = [Date.now(), randomBytes(16).toString("hex")];
	const signed = ["shardcast backend 1", host, port, name, time, nonce, leaving].join("\n");
	const announcement = { shardcast: "backend", version: 1, port, name, time, nonce };
	if (host !== "") announcement.host = host;
	if (leaving) announcement.leaving = true;
	if (secret !== undefined) announcement.signature = createHmac("sha256", secret).update(signed).digest("hex");
	return Buffer.from(JSON.stringify(announcement));
}
