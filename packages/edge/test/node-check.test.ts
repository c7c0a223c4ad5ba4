import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, it } from "vitest";
import { checkNode, edgeHints } from "../src/nodes/node-check.ts";

it.each([
	["SSH-2.0-OpenSSH_9.6\r\n", "HPE_INVALID_CONSTANT"],
	["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n", "HPE_INVALID_CHUNK_SIZE"],
])("a node that answers %j was reached, and does not answer in HTTP", async (answer, code) => {
	const server = createServer((socket) => socket.on("error", () => {}).once("data", () => socket.write(answer)));
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	const target = { host: "127.0.0.1", port, sendProxy: false, tls: null, timeoutMs: 10_000, ofShards: false, hints: edgeHints };
	const why = await checkNode(target).then(
		() => "",
		(error: Error) => error.message,
	);
	server.close();
	expect(why).toBe(`does not answer in HTTP (${code})`);
});
