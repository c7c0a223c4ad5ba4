import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const examples = join(import.meta.dirname, "../../../../examples/gateway");
const demo = join(examples, "demo.mjs");
const hasPython = spawnSync("python3", ["--version"]).status === 0;
let taken: Server;
let port = 0;
beforeAll(async () => {
	taken = createServer().listen(0, "127.0.0.1");
	await once(taken, "listening");
	({ port } = taken.address() as AddressInfo);
});
afterAll(() => void taken.close());

function run(command: string, ...args: string[]) {
	const { status, stderr, stdout } = spawnSync(command, args, { cwd: examples, encoding: "utf8", timeout: 60_000, killSignal: "SIGKILL" });
	return { status, said: stderr.trim().split("\n"), stdout };
}

describe("examples of the gateway whose port cannot be used", () => {
	it("the demo says so in one line, with status 1, for its backend and its page", () => {
		expect(run(process.execPath, demo, "--port", `${port}`, "--web", "0")).toMatchObject({
			status: 1,
			said: [`demo: cannot listen on port ${port} of 127.0.0.1: another program listens there; choose another one with --port`],
		});
		expect(run(process.execPath, demo, "--port", "0", "--web", `${port}`)).toMatchObject({
			status: 1,
			said: [`demo: the page cannot be served on port ${port} (EADDRINUSE); choose another one with --web`],
		});
	});

	it.each(["abc", "70000", "-1"])("the demo takes no port %s", (text) => {
		const { status, said } = run(process.execPath, demo, `--port=${text}`);
		expect(status).toBe(2);
		expect(said.slice(0, 2)).toEqual([
			`--port: "${text}" is not a port; ports go from 0 (a free one) to 65535`,
			expect.stringContaining("usage: node examples/gateway/demo.mjs"),
		]);
	});

	it.each(["foo", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", ":9999", "::1:9999"])("the demo announces itself to no %s", (text) => {
		const { status, said } = run(process.execPath, demo, "--port", "0", "--web", "0", "--announce", text);
		expect([status, ...said.slice(0, 2)]).toEqual([
			2,
			`--announce: "${text}" is not host:port, such as 127.0.0.1:9999`,
			expect.stringContaining("usage: node examples/gateway/demo.mjs"),
		]);
	});

	it.each(["", "fifteen-letters", "a secret with spaces"])(
		'the demo signs with no GATEWAY_SECRET "%s", which a gateway would not take',
		(secret) => {
			const args = [demo, "--port", "0", "--web", "0", "--announce", "127.0.0.1:9"];
			const env = { ...process.env, GATEWAY_SECRET: secret };
			const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: "utf8", timeout: 60_000, killSignal: "SIGKILL" });
			expect(status).toBe(2);
			expect(stderr.split("\n")[0]).toBe("GATEWAY_SECRET needs at least 16 characters, and no white space");
		},
	);

	it("the demo tells with --help which ports it takes", () => {
		expect(run(process.execPath, demo, "--help")).toMatchObject({
			status: 0,
			stdout: expect.stringContaining("[--port 9001] [--web 8080]"),
		});
	});

	const wrong = "give a whole number from 0 (a free one) to 65535";

	it("a backend in Node takes no port that is none, and no class that is none", () => {
		const program = `import { listen } from "./gateway-backend.mjs";
const tell = ({ message }) => console.log(message);
for (const port of ["x", "9001", -1, 70000, 1.5, null]) await listen(port).catch(tell);
const backend = await listen(0);
for (const frameClass of [99, 0, "VIDEO"])
	try {
		console.log(backend.send(frameClass, Buffer.from("x")));
	} catch (error) {
		tell(error);
	}
await backend.close();`;
		const noClass = "to send: it is FrameClass.CONTROL, VIDEO, ACK or FILE";
		expect(run(process.execPath, "--input-type=module", "-e", program).stdout.trim().split("\n")).toEqual([
			...['"x"', '"9001"', "-1", "70000", "1.5", "null"].map((port) => `the port is ${port}; ${wrong}`),
			...["99", "0", '"VIDEO"'].map((frameClass) => `there is no class ${frameClass} ${noClass}`),
		]);
	});

	it.skipIf(!hasPython)("nor does one in Python", () => {
		const program = `import asyncio
from gateway_backend import listen

async def main():
    for port in ("x", "9001", -1, 70000, 1.5, None, True):
        try:
            await listen(port)
        except ValueError as error:
            print(error)
    backend = await listen(0)
    for frame_class in (99, 0, "VIDEO"):
        try:
            print(backend.send(frame_class, b"x"))
        except ValueError as error:
            print(error)
    await backend.close()

asyncio.run(main())`;
		expect(run("python3", "-c", program).stdout.trim().split("\n")).toEqual([
			...["'x'", "'9001'", "-1", "70000", "1.5", "None", "True"].map((port) => `the port is ${port}; ${wrong}`),
			...["99", "0", "'VIDEO'"].map((frameClass) => `there is no class ${frameClass} to send: it is CONTROL, VIDEO, ACK or FILE`),
		]);
	});

	it("a backend in Node says so, without lines of the code of Node", () => {
		const program = `import { listen } from "./gateway-backend.mjs"; await listen(${port});`;
		const { status, said } = run(process.execPath, "--input-type=module", "-e", program);
		expect(status).toBe(1);
		expect(said).toContainEqual(expect.stringContaining(`cannot listen on port ${port} of 127.0.0.1: another program listens there`));
		expect(said.filter((line) => /^\s+at |node:net/.test(line))).toEqual([]);
	});

	it.skipIf(!hasPython)("a backend in Python says so in one line, with status 1", () => {
		const program = `import asyncio
from gateway_backend import listen

async def main():
    backend = await listen(${port})
    await backend.closed

asyncio.run(main())`;
		expect(run("python3", "-c", program)).toMatchObject({
			status: 1,
			said: [`gateway_backend: cannot listen on port ${port} of 127.0.0.1: another program listens there`],
		});
	});
});
