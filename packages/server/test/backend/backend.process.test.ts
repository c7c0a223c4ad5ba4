import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "@shardcast/telemetry";
import { afterEach, describe, expect, it } from "vitest";
import { Backend, type BackendOptions } from "../../src/backend/backend.ts";
import { Waiter } from "../../src/backend/waiter.ts";
import { noHeaders } from "../../src/hooks/forwarded-headers.ts";
import { Hook, type HookOptions } from "../../src/hooks/hook.ts";

/** Long enough for a busy machine; a call that is to time out has its own. */
const standard = { name: "test", timeoutMs: 20_000, concurrency: 4, queueMax: 4, replyBytesMax: 1000 };
const noRules = { ofRequest: [], emulated: [], fixed: {} };
const plain: HookOptions = { headers: noRules, isBinary: false, includesMeta: false, statuses: new Map(), onFailure: "auto" };
const client = { client: "c1", transport: "websocket", protocol: "json", user: "42", meta: null } as const;
const call = { body: Buffer.from("{}"), headers: {}, isRepeatable: false };

const cleanups: (() => void)[] = [];
afterEach(() => {
	for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

async function listening(server: Server | TcpServer): Promise<number> {
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	cleanups.push(() => server.close());
	return (server.address() as AddressInfo).port;
}

function backendAt(endpoint: string, options: Partial<BackendOptions> = {}): Backend {
	const backend = new Backend({ ...standard, endpoint, ...options });
	cleanups.push(() => backend.stop());
	return backend;
}

/** A backend whose server answers by `listener`. */
async function answering(listener: RequestListener, options: Partial<BackendOptions> = {}): Promise<Backend> {
	const server = createServer(listener);
	const port = await listening(server);
	cleanups.push(() => server.closeAllConnections());
	return backendAt(`http://127.0.0.1:${port}/hook`, options);
}

/** A backend whose server does with a connection what `behave` does once the request has come. */
async function behaving(behave: (socket: Socket) => void, options: Partial<BackendOptions> = {}): Promise<Backend> {
	const sockets = new Set<Socket>();
	const server = createTcpServer((socket) => {
		sockets.add(socket);
		socket.on("error", () => socket.destroy());
		socket.once("data", () => behave(socket));
	});
	const port = await listening(server);
	cleanups.push(() => {
		for (const socket of sockets) socket.destroy();
	});
	return backendAt(`http://127.0.0.1:${port}/`, options);
}

const result = (data: unknown) => JSON.stringify({ result: { data } });

describe("a backend", () => {
	it("gets a POST with JSON and the listed headers, and its answer is the result", async () => {
		let got: { method: string; headers: IncomingHttpHeaders; body: string } | undefined;
		const backend = await answering((request, response) => {
			let body = "";
			request.on("data", (part) => {
				body += part;
			});
			request.on("end", () => {
				got = { method: request.method!, headers: request.headers, body };
				response.end(result({ ok: 1 }));
			});
		});
		const hook = new Hook(
			"rpc",
			backend,
			{ ...plain, headers: { ...noRules, ofRequest: ["cookie"], fixed: { "x-key": "k" } } },
			silentLog(),
		);
		const headers = {
			...noHeaders,
			ofRequest: new Map([
				["cookie", "a=1"],
				["authorization", "no"],
			]),
		};
		const reply = await hook.ask(client, { method: "m", data: Buffer.from("[1]") }, headers);
		expect(reply).toEqual({ result: { data: Buffer.from('{"ok":1}') } });
		expect(got!.method).toBe("POST");
		expect(JSON.parse(got!.body)).toMatchObject({ client: "c1", user: "42", method: "m", data: [1] });
		expect(got!.headers).toMatchObject({ cookie: "a=1", "x-key": "k", "content-type": "application/json" });
		expect(got!.headers.authorization, "a header that is not in the list").toBe(undefined);
		expect([backend.counts.replies, backend.running]).toEqual([1, 0]);
	});

	it("gets a client's meta only if the option says so", async () => {
		const bodies: string[] = [];
		const backend = await answering((request, response) => {
			request.on("data", (body) => bodies.push(String(body))).on("end", () => response.end("{}"));
		});
		const known = { ...client, meta: Buffer.from('{"plan":"pro"}') };
		for (const includesMeta of [false, true])
			await new Hook("rpc", backend, { ...plain, includesMeta }, silentLog()).ask(known, {}, noHeaders);
		expect(bodies.map((body) => JSON.parse(body).meta)).toEqual([undefined, { plan: "pro" }]);
	});

	it("is asked over the same connection again", async () => {
		const ports = new Set<number>();
		const backend = await answering((request, response) => {
			ports.add(request.socket.remotePort!);
			request.resume();
			response.end("{}");
		});
		for (let n = 0; n < 5; n++) expect(await backend.call(call)).toHaveProperty("body");
		expect(ports.size, "connections for five calls in turn").toBe(1);
	});

	it("that does not answer in time, or stops in the middle of its answer, has failed", async () => {
		const silent = await behaving(() => {}, { timeoutMs: 50 });
		expect(await silent.call(call)).toMatchObject({ failure: "timeout" });
		const slow = await behaving((socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"), { timeoutMs: 50 });
		expect(await slow.call(call)).toMatchObject({ failure: "timeout" });
		expect([slow.counts.failures.timeout, slow.running]).toEqual([1, 0]);
	});

	it("that cannot be reached has failed, and the reason is a code", async () => {
		// A port that was free a moment ago may belong to another test by now.
		const backend = backendAt("http://127.0.0.1:1/?key=secret");
		expect(await backend.call(call)).toEqual({ failure: "unreachable", status: 0, detail: "ECONNREFUSED" });
	});

	it("that closes the connection, or does not speak HTTP, has failed", async () => {
		const closing = await behaving((socket) => socket.destroy());
		expect(await closing.call(call)).toMatchObject({ failure: "reset" });
		const half = await behaving((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"));
		expect(await half.call(call)).toMatchObject({ failure: "reset" });
		const other = await behaving((socket) => socket.end("SSH-2.0-x\r\n"));
		expect(await other.call(call)).toMatchObject({ failure: "protocol" });
	});

	it("is not followed to another address", async () => {
		let visits = 0;
		const target = createServer((_, response) => {
			visits++;
			response.end("{}");
		});
		const port = await listening(target);
		for (const status of [301, 302, 303, 307, 308]) {
			const backend = await answering((_, response) => {
				response.writeHead(status, { location: `http://127.0.0.1:${port}/` }).end();
			});
			expect(await backend.call(call)).toMatchObject({ failure: "redirect", status });
		}
		expect(visits, "requests at the address of the redirect").toBe(0);
	});

	it("whose reply is one byte too long has failed before the rest has arrived", async () => {
		const { replyBytesMax } = standard;
		const fits = await answering((_, response) => response.end("x".repeat(replyBytesMax)));
		expect(await fits.call(call)).toHaveProperty("body.length", replyBytesMax);
		const long = await answering((_, response) => void response.write("x".repeat(replyBytesMax + 1)));
		expect(await long.call(call)).toMatchObject({ failure: "too_large" });
		expect(long.counts.failures.too_large).toBe(1);
	});

	it("that answers with another status has failed, and keeps its connection; a status may be mapped to an error", async () => {
		const ports = new Set<number>();
		const backend = await answering((request, response) => {
			ports.add(request.socket.remotePort!);
			response.writeHead(503).end("secret");
		});
		const ask = (options: HookOptions) => new Hook("subscribe", backend, options, silentLog()).ask(client, { channel: "c" }, noHeaders);
		expect(await ask(plain)).toBe("failed");
		const error = { code: 400, message: "later", temporary: true };
		expect(await ask({ ...plain, statuses: new Map([[503, { error }]]) })).toEqual({ error });
		expect([backend.counts.failures.status, backend.counts.statuses.get(503), ports.size]).toEqual([2, 2, 1]);
	});

	it("whose reply is invalid has failed, and the reply is not quoted", async () => {
		const backend = await answering((_, response) => response.end('{"result": "secret"}'));
		const lines: unknown[] = [];
		const log = { error: (...line: unknown[]) => void lines.push(line) };
		const hook = new Hook("publish", backend, plain, log as never);
		expect(await hook.ask(client, { channel: "c" }, noHeaders)).toBe("failed");
		const fields = { hook: "publish", proxy: "test", failure: "invalid", detail: "result is not an object", passes: false, leftOut: 0 };
		expect(lines).toEqual([[fields, expect.any(String)]]);
		expect([backend.counts.replies, backend.counts.failures.invalid]).toEqual([0, 1]);
	});

	it("is not asked at all when the client's data is not JSON", async () => {
		let requests = 0;
		const backend = await answering((_, response) => {
			requests++;
			response.end("{}");
		});
		const data = Buffer.from('1,"user":"admin"');
		const reply = await new Hook("rpc", backend, plain, silentLog()).ask(client, { method: "m", data }, noHeaders);
		expect([reply, requests]).toMatchObject([{ error: { code: 107 } }, 0]);
	});

	it("gets a limited number of calls at once; the others wait in order, and one too many is refused", async () => {
		const held: { answer: () => void; body: string }[] = [];
		const backend = await answering(
			(request, response) => void request.on("data", (body) => held.push({ body: String(body), answer: () => response.end("{}") })),
			{ concurrency: 2, queueMax: 2 },
		);
		const ended: string[] = [];
		const start = (name: string) =>
			backend
				.call({ ...call, body: Buffer.from(`"${name}"`) })
				.then((outcome) => ended.push("body" in Object(outcome) ? name : `${name}!`));
		const all = ["a", "b", "c", "d", "e"].map(start);
		await expect.poll(() => held.length).toBe(2);
		await expect.poll(() => ended).toEqual(["e!"]);
		expect([backend.running, backend.waiting, backend.counts.failures.queue_full]).toEqual([2, 2, 1]);
		held[0]!.answer();
		await expect.poll(() => held.length).toBe(3);
		expect(held[2]!.body, "the call that waited longest").toBe('"c"');
		for (const { answer } of held.splice(0)) answer();
		await expect.poll(() => held.length).toBe(1);
		held[0]!.answer();
		await Promise.all(all);
		expect([backend.running, backend.waiting]).toEqual([0, 0]);
	});

	it("waiting for a slot counts towards the time of a call", async () => {
		const backend = await behaving(() => {}, { concurrency: 1, timeoutMs: 50 });
		const outcomes = await Promise.all([backend.call(call), backend.call(call)]);
		expect(outcomes).toMatchObject([{ failure: "timeout" }, { failure: "timeout" }]);
		expect([backend.running, backend.waiting]).toEqual([0, 0]);
	});

	it("is not waited for when the client disconnects, whether the call is running or waiting for a slot; nothing is left behind", async () => {
		let closed = 0;
		let open = 0;
		const backend = await behaving(
			(socket) => {
				open++;
				socket.on("close", () => closed++);
			},
			{ concurrency: 1 },
		);
		const [running, waiting] = [new Waiter(), new Waiter()];
		const calls = [running, waiting].map((waiter) => backend.call({ ...call, waiter }));
		await expect.poll(() => open).toBe(1);
		waiting.goes();
		expect(await calls[1]).toBe("abandoned");
		running.goes();
		expect(await calls[0]).toBe("abandoned");
		await expect.poll(() => closed, { message: "the connection of the call that ran is closed" }).toBe(1);
		expect(await backend.call({ ...call, waiter: running }), "a client that has gone before").toBe("abandoned");
		expect([open, backend.running, backend.waiting, backend.counts.abandoned]).toEqual([1, 0, 0, 3]);
	});

	it("that closed a connection just before it was used is asked once more, if the call may be repeated", async () => {
		let connections = 0;
		const sockets = new Set<Socket>();
		// Answers the first request of each connection and ends the connection with the second.
		const server = createTcpServer((socket) => {
			connections++;
			sockets.add(socket);
			socket.on("error", () => socket.destroy());
			socket.once("data", () => {
				socket.write("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\n{}");
				socket.once("data", () => socket.destroy());
			});
		});
		const port = await listening(server);
		cleanups.push(() => {
			for (const socket of sockets) socket.destroy();
		});
		const backend = backendAt(`http://127.0.0.1:${port}/`);
		expect(await backend.call(call)).toHaveProperty("body");
		expect(await backend.call(call), "a call that must not come twice").toMatchObject({ failure: "reset" });
		expect(await backend.call(call)).toHaveProperty("body");
		expect(await backend.call({ ...call, isRepeatable: true })).toHaveProperty("body");
		expect([connections, backend.counts.repeats]).toEqual([3, 1]);
	});

	it("whose options have changed answers the pending calls, and then its connections are closed", async () => {
		let closed = 0;
		let answer: (() => void) | undefined;
		const backend = await answering((request, response) => {
			request.socket.on("close", () => closed++);
			answer = () => response.end("{}");
		});
		const pending = backend.call(call);
		backend.retire();
		await expect.poll(() => answer).toBeDefined();
		answer!();
		expect(await pending).toHaveProperty("body");
		await expect.poll(() => closed, { message: "connections that are closed" }).toBe(1);
	});

	it("has its calls cancelled when the shard stops, and gets no more", async () => {
		let open = 0;
		const backend = await behaving(() => open++, { concurrency: 1 });
		const calls = [backend.call(call), backend.call(call)];
		await expect.poll(() => open).toBe(1);
		backend.stop();
		expect(await Promise.all(calls)).toMatchObject([{ failure: "stopped" }, { failure: "stopped" }]);
		expect(await backend.call(call)).toMatchObject({ failure: "stopped" });
		expect([open, backend.running, backend.waiting]).toEqual([1, 0, 0]);
	});

	it("over TLS must have a certificate that is trusted, for its name", async () => {
		const directory = mkdtempSync(join(tmpdir(), "hooks-tls-"));
		cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
		const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
		const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost"];
		execFileSync("openssl", [...made, "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert], { stdio: "ignore" });
		const ca = readFileSync(cert, "utf8");
		let requests = 0;
		const server = createTlsServer({ key: readFileSync(key), cert: ca }, (_, response) => {
			requests++;
			response.end("{}");
		});
		const port = await listening(server);
		cleanups.push(() => server.closeAllConnections());
		expect(await backendAt(`https://localhost:${port}/`).call(call)).toMatchObject({ failure: "tls" });
		expect(await backendAt(`https://127.0.0.1:${port}/`, { tls: { ca } }).call(call), "another name").toMatchObject({ failure: "tls" });
		expect(requests, "requests that were sent to a server that is not trusted").toBe(0);
		expect(await backendAt(`https://localhost:${port}/`, { tls: { ca } }).call(call)).toHaveProperty("body");
		expect(await backendAt(`https://127.0.0.1:${port}/`, { tls: { ca, servername: "localhost" } }).call(call)).toHaveProperty("body");
	});
});
