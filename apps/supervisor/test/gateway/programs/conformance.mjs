// A backend that does what a test asks of it, for examples/gateway/gateway-backend.mjs; conformance.py is the same for the library in Python.
//   node conformance.mjs [announce-to] [secret]
import { FrameClass, listen } from "../../../../../examples/gateway/gateway-backend.mjs";

const [to, secret] = process.argv.slice(2);
const seen = { joined: [], left: [], up: 0, down: 0, problems: [] };
const known = new Map();
let held = Promise.resolve();
let release = () => {};

const orders = {
	async report(client) {
		const { stats, gateways } = backend;
		const clients = [...gateways.values()].flatMap((gateway) => [...gateway.clients.keys()]);
		await reply(client, { ...seen, stats, clients, gateways: gateways.size });
	},
	/** So many numbered frames, all of them. */
	async flood(client, { frameClass, count }) {
		for (let number = 0; number < count; number++) await client.deliver(frameClass, Buffer.from(String(number)));
	},
	async floodAll(_, { frameClass, count }) {
		for (let number = 0; number < count; number++) await backend.deliver(frameClass, Buffer.from(String(number)));
	},
	/** As many as it takes at once. */
	async fill(client, { frameClass, bytes }) {
		let taken = 0;
		while (client.send(frameClass, Buffer.alloc(bytes))) taken++;
		await reply(client, { taken });
		await client.deliver(frameClass, Buffer.from("there was room again"));
	},
	hold() {
		held = new Promise((resolve) => {
			release = resolve;
		});
	},
	release() {
		release();
	},
	/** Text in place of bytes. */
	text(client) {
		client.send(FrameClass.CONTROL, "größe");
	},
	/** Wrong frames to a client that has left. */
	async mistakes(client, { to }) {
		const wrong = [
			[99, Buffer.from("x")],
			[FrameClass.CONTROL, "text"],
			[FrameClass.CONTROL, Buffer.alloc(1 << 20)],
		];
		const problems = [];
		for (const [frameClass, body] of wrong)
			for (const method of ["send", "deliver"])
				await new Promise((resolve) => resolve(known.get(to)[method](frameClass, body))).then(
					(result) => problems.push(String(result)),
					({ message }) => problems.push(message),
				);
		await reply(client, problems);
	},
	fail() {
		throw new Error("the handler has failed");
	},
	close() {
		return void backend.close();
	},
	/** So many numbered frames of both connections, and the end. */
	farewell(client, { count, bytes }) {
		for (let number = 0; number < count; number++) {
			const body = Buffer.alloc(bytes);
			body.writeUInt32BE(number);
			client.send(FrameClass.CONTROL, body);
			client.send(FrameClass.FILE, body);
		}
		void backend.close().then(() => console.log("closed"));
		console.log("closing");
	},
};
const reply = (client, value) => client.deliver(FrameClass.CONTROL, Buffer.from(JSON.stringify(value)));

const backend = await listen(0, {
	async onFrame(client, frameClass, body) {
		if (frameClass === FrameClass.FILE) await held;
		if (frameClass !== FrameClass.CONTROL || body[0] !== 0x7b) return void (await client.deliver(frameClass, body));
		const order = JSON.parse(body);
		await orders[order.do](client, order);
	},
	onClientJoined(client) {
		seen.joined.push(client.id);
		known.set(client.id, client);
	},
	onClientLeft: (client) => seen.left.push(client.id),
	onGatewayUp: () => seen.up++,
	onGatewayDown: () => seen.down++,
	onProblem: (error) => seen.problems.push(error.message),
	maxFrame: 1 << 20,
	announce: to === undefined ? null : { name: "conformance", to: [to], secret },
});
console.log(`listening on ${backend.port}`);
