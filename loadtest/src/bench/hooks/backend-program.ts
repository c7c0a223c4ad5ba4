import { createServer } from "node:http";

/**
 * The backend of the bench: the smallest that answers each hook, on connections that stay open, and that receives webhooks.
 *
 * `node backend-program.js <port>` listens on 127.0.0.1 and prints one line when it does. GET /events tells how many events it has received.
 */
const replies: Readonly<Record<string, string>> = {
	"/connect": '{"result":{"user":"ann"}}',
	"/publish": '{"result":{}}',
	"/rpc": '{"result":{"data":{}}}',
};
const port = Number(process.argv[2]);
let events = 0;

const server = createServer((request, response) => {
	const parts: Buffer[] = [];
	request.on("data", (part: Buffer) => parts.push(part));
	request.on("end", () => {
		const isBatch = request.method === "POST" && request.url === "/events";
		if (isBatch) events += (JSON.parse(Buffer.concat(parts).toString()) as { readonly events: readonly unknown[] }).events.length;
		const reply = replies[request.url!] ?? JSON.stringify({ events });
		response.writeHead(200, { "content-type": "application/json", "content-length": reply.length }).end(reply);
	});
});
server.keepAliveTimeout = 60_000;
server.listen(port, "127.0.0.1", () => console.log(`listening on ${port}`));
process.on("SIGTERM", () => process.exit(0));
