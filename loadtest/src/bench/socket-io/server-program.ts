import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

/**
 * One server of Socket.IO with its adapter for Redis streams, as its documentation shows it: `node server-program.js <folder> <port> <redis url>`,
 * where `folder` has the packages. POST /api/publish takes a JSON array of `{channel, data}` and answers once Redis has all of them, so that
 * publishers wait for a slow Redis as they do with shardcast. A client joins the room `?channel=` and publishes to it with the event "message".
 */
interface Room {
	emit(event: string, data: unknown): void;
}
interface IoSocket {
	readonly handshake: { readonly query: { readonly channel?: string } };
	join(room: string): void;
	on(event: string, listener: (data: unknown) => void): void;
}
interface IoServer {
	to(room: string): Room;
	on(event: "connection", listener: (socket: IoSocket) => void): void;
}
interface RedisClient {
	connect(): Promise<unknown>;
	ping(): Promise<unknown>;
	on(event: "error", listener: (error: Error) => void): void;
}

const [folder, port, redisUrl] = process.argv.slice(2) as [string, string, string];
const load = createRequire(join(folder, "package.json"));
const { Server } = load("socket.io") as { Server: new (http: object, options: object) => IoServer };
const { createAdapter } = load("@socket.io/redis-streams-adapter") as { createAdapter: (redis: RedisClient, options: object) => unknown };
const { createClient } = load("redis") as { createClient: (options: object) => RedisClient };

/** Far more than its 10,000: a reader that falls behind while the bench publishes flat out must not lose messages. */
const streamLengthMax = 1_000_000;

const redis = createClient({ url: redisUrl });
redis.on("error", (error) => console.error(error.message));
await redis.connect();
const http = createServer((request, response) => {
	if (request.url !== "/api/publish") return;
	const parts: Buffer[] = [];
	request.on("data", (part: Buffer) => parts.push(part));
	request.on("end", async () => {
		const messages = JSON.parse(Buffer.concat(parts).toString()) as { channel: string; data: unknown }[];
		for (const { channel, data } of messages) io.to(channel).emit("message", data);
		// On the connection of the commands before it.
		await redis.ping();
		response.writeHead(200, { "content-length": "2" }).end("{}");
	});
});
const io = new Server(http, { adapter: createAdapter(redis, { maxLen: streamLengthMax }), perMessageDeflate: false });
io.on("connection", (socket) => {
	const { channel } = socket.handshake.query;
	if (channel === undefined) return;
	socket.join(channel);
	socket.on("message", (data) => io.to(channel).emit("message", data));
});
process.on("SIGTERM", () => process.exit(0));
http.listen(Number(port), "127.0.0.1", () => console.log(`listening on ${port}`));
