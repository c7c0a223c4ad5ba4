import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

/** What both libraries for backends say to wrong arguments: the same, at once, and whoever is connected. */
const examples = join(import.meta.dirname, "../../../../examples/gateway");
const hasPython = spawnSync("python3", ["--version"]).status === 0;

/** The lines that a program prints. It ends by itself only if nothing of it listens any more. */
function linesOf(command: string, ...args: string[]): string[] {
	const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
	const { stdout, stderr, status } = spawnSync(command, args, {
		cwd: examples,
		env,
		encoding: "utf8",
		timeout: 60_000,
		killSignal: "SIGKILL",
	});
	expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
	return stdout.trim().split("\n");
}
const indented = (lines: readonly string[], by: string) => lines.map((line) => `${by}${line}`).join("\n");

/** Runs each line, and prints its result, or its error. */
const inNode = (lines: readonly string[]): string[] =>
	linesOf(
		process.execPath,
		"--input-type=module",
		"-e",
		`import { FrameClass, listen } from "./gateway-backend.mjs";
const { CONTROL, VIDEO } = FrameClass;
const bytes = Buffer.from("x");
async function use(listening, call) {
	const backend = await listening;
	try {
		return await call(backend);
	} finally {
		await backend.close();
	}
}
for (const run of [
${lines.map((line) => `	async () => ${line},`).join("\n")}
])
	console.log(await run().then(String, (error) => error.name + ": " + error.message));`,
	);
const inPython = (lines: readonly string[]): string[] =>
	linesOf(
		"python3",
		"-c",
		`import asyncio
from gateway_backend import CONTROL, VIDEO, listen

async def handler(*_):
    pass

ended = handler()
ended.close()

async def use(backend, call):
    backend = await backend
    try:
        result = call(backend)
        return await result if asyncio.iscoroutine(result) else result
    finally:
        await backend.close()

async def main():
    for run in (
${indented(
	lines.map((line) => `lambda: ${line},`),
	"        ",
)}
    ):
        try:
            print(str(await run()).lower())
        except Exception as error:
            print(f"{type(error).__name__}: {error}")

asyncio.run(main())`,
	);

const whole = "a positive whole number";
const aFunction = "a function";
const anObject = "an object with any of name, secret, host and to";
const aName = "text of at most 64 characters, none of them a control character";
const aSecret = "text of at least 16 characters without white space";
const anIp = "the IP address of one machine";
const aList = 'a list of "host:port", such as ["127.0.0.1:9999"]';
/** Option, a value in JSON, and what the option must be. */
const wrong: [string, string, string][] = [
	["host", '""', "text that is not empty"],
	["host", "127", "text that is not empty"],
	...["onFrame", "onClientJoined", "onClientLeft", "onGatewayUp", "onGatewayDown", "onProblem"].map((name): [string, string, string] => [
		name,
		'"log"',
		aFunction,
	]),
	...["0", "-1", "1.5", '"8MiB"'].map((value): [string, string, string] => ["maxFrame", value, whole]),
	["queueBytes", "0", whole],
	["videoQueueBytes", '"1"', whole],
	["announce", '"127.0.0.1:9999"', anObject],
	["announce", '["127.0.0.1:9999"]', anObject],
	["announce", '{"name":7}', aName],
	["announce", '{"name":"a\\nb"}', aName],
	["announce", `{"name":"${"n".repeat(65)}"}`, aName],
	["announce", '{"secret":"fifteen-letters"}', aSecret],
	["announce", '{"secret":"a secret with spaces"}', aSecret],
	["announce", '{"secret":""}', aSecret],
	["announce", '{"secret":1234567890123456}', aSecret],
	...["camera.local", "0.0.0.0", "::", "fe80::1%eth0", "10.0.0.5:9001"].map((host): [string, string, string] => [
		"announce",
		JSON.stringify({ host }),
		anIp,
	]),
	["announce", '{"to":"127.0.0.1:9999"}', aList],
	["announce", '{"to":[]}', aList],
	...["127.0.0.1", "127.0.0.1:", ":9999", "127.0.0.1:0", "127.0.0.1:65536", "::1:9999", "a b:1"].map((to): [string, string, string] => [
		"announce",
		JSON.stringify({ to: ["127.0.0.1:9999", to] }),
		aList,
	]),
	["announce", '{"to":[9999]}', aList],
];
const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
/** `announce.to`, if it is what a value of `announce` has. */
const full = (name: string, value: string) => {
	const [, part] = /^\{"(\w+)"/.exec(value) ?? [];
	return part === undefined ? name : `${name}.${part}`;
};

describe("options of a backend", () => {
	it("in Node: a wrong one is an error that names it and says what it must be", () => {
		const lines = wrong.map(([name, value]) => `listen(0, { ${name}: ${value} })`);
		expect(inNode(lines)).toEqual(wrong.map(([name, value, mustBe]) => `TypeError: the option ${full(name, value)} must be ${mustBe}`));
		expect(
			inNode(["listen(0, () => {})", "listen(0, null)", "listen(0, { onFrame: null })", "listen(0, { onFrame: (async () => {})() })"]),
		).toEqual([
			"TypeError: the options must be an object",
			"TypeError: the options must be an object",
			"TypeError: the option onFrame must be a function",
			"TypeError: the option onFrame must be a function",
		]);
	});

	it.skipIf(!hasPython)("in Python: the same", () => {
		const lines = wrong.map(([name, value]) => `listen(0, ${snake(name)}=${value})`);
		expect(inPython(lines)).toEqual(
			wrong.map(
				([name, value, mustBe]) => `ValueError: the option ${full(snake(name), value)} must be ${mustBe.replace("an object", "a dict")}`,
			),
		);
		expect(inPython(["listen(0, on_frame=ended)", "listen(0, max_frame=True)"])).toEqual([
			"ValueError: the option on_frame must be a function",
			"ValueError: the option max_frame must be a positive whole number",
		]);
	});

	it("in Node: an unknown one is an error with the nearest name and all that there are", () => {
		const all =
			"host, onFrame, onClientJoined, onClientLeft, onGatewayUp, onGatewayDown, onProblem, maxFrame, queueBytes, videoQueueBytes, announce";
		const given = [
			"{ onframe() {} }",
			"{ on_client_left() {} }",
			"{ maxFrames: 1 }",
			"{ colour: 1 }",
			'{ announce: { nmae: "" } }',
			"{ announce: { secrets: 1 } }",
		];
		expect(inNode(given.map((options) => `listen(0, ${options})`))).toEqual([
			`TypeError: there is no option onframe (did you mean onFrame?); there are ${all}`,
			`TypeError: there is no option on_client_left (did you mean onClientLeft?); there are ${all}`,
			`TypeError: there is no option maxFrames (did you mean maxFrame?); there are ${all}`,
			`TypeError: there is no option colour; there are ${all}`,
			"TypeError: there is no option announce.nmae; there are name, secret, host, to",
			"TypeError: there is no option announce.secrets (did you mean secret?); there are name, secret, host, to",
		]);
	});

	it.skipIf(!hasPython)("in Python: the same", () => {
		const all =
			"host, on_frame, on_client_joined, on_client_left, on_gateway_up, on_gateway_down, on_problem, max_frame, queue_bytes, video_queue_bytes, announce";
		expect(inPython(["listen(0, onFrame=handler)", "listen(0, colour=1)", 'listen(0, announce={"secrets": 1})'])).toEqual([
			`TypeError: there is no option onFrame (did you mean on_frame?); there are ${all}`,
			`TypeError: there is no option colour; there are ${all}`,
			"TypeError: there is no option announce.secrets (did you mean secret?); there are name, secret, host, to",
		]);
	});

	const announce = { name: "n".repeat(64), secret: "sixteen-letters!", host: "10.0.0.5", to: ["127.0.0.1:9", "localhost:9"] };
	it("in Node: right ones are taken, and undefined is as if it were not there", () => {
		const callbacks = "onFrame: undefined, onClientJoined() {}, async onClientLeft() {}, onProblem: console.log";
		const parts = "name: undefined, secret: undefined, host: undefined, to: undefined";
		const closed = (options: string) => `use(listen(0, ${options}), ({ options }) => options.maxFrame)`;
		expect(
			inNode([
				closed(`{ host: "localhost", ${callbacks}, maxFrame: 1, queueBytes: 1, announce: ${JSON.stringify(announce)} }`),
				closed("{ announce: null, maxFrame: undefined }"),
				closed(`{ announce: { ${parts} } }`),
				closed("{ announce: undefined }"),
				closed("undefined"),
			]),
		).toEqual(["1", ...Array(4).fill(`${8 << 20}`)]);
	});

	it.skipIf(!hasPython)("in Python: right ones are taken, and a callback that is None is as if it were not there", () => {
		const closed = (options: string) => `use(listen(${options}), lambda backend: callable(backend.on_problem))`;
		const callbacks = "on_frame=handler, on_client_left=None, on_problem=None";
		expect(
			inPython([
				closed(`0, host="localhost", ${callbacks}, max_frame=1, queue_bytes=1, announce=${JSON.stringify(announce)}`),
				closed("0, announce=None"),
				closed('0, announce={"secret": None, "to": ("127.0.0.1:9",)}'),
			]),
		).toEqual(Array(3).fill("true"));
	});
});

describe("a frame that a backend sends while no gateway is connected", () => {
	const noClass = (frameClass: string) => `there is no class ${frameClass} to send: it is FrameClass.CONTROL, VIDEO, ACK or FILE`;

	it("in Node: is checked all the same", () => {
		const calls = ["99, bytes", '"VIDEO", bytes', 'CONTROL, "text"', "CONTROL", "VIDEO, [1, 2]", "CONTROL, Buffer.alloc(100)"];
		const lines = [...calls, "CONTROL, Buffer.alloc(99)", "CONTROL, Buffer.alloc(0)"].flatMap((call) =>
			["send", "deliver"].map((method) => `use(listen(0, { maxFrame: 100 }), (backend) => backend.${method}(${call}))`),
		);
		const isBytes = "TypeError: a body is bytes: wrap text in Buffer.from(…)";
		const tooLong = "RangeError: a payload of 101 bytes is longer than maxFrame, 100";
		const errors = [`TypeError: ${noClass("99")}`, `TypeError: ${noClass('"VIDEO"')}`, isBytes, isBytes, isBytes, tooLong];
		expect(inNode(lines)).toEqual([...errors.flatMap((error) => [error, error]), "true", "undefined", "true", "undefined"]);
	});

	it.skipIf(!hasPython)("in Python: the same", () => {
		const calls = ['99, b"x"', '"VIDEO", b"x"', 'CONTROL, "text"', "CONTROL, None", "VIDEO, [1, 2]", "CONTROL, bytes(100)"];
		// Its length in bytes is another one than that in numbers.
		const wide = "memoryview(bytes(104)).cast('Q')";
		const lines = [...calls, `CONTROL, ${wide}`, "CONTROL, bytearray(99)", 'CONTROL, b""'].flatMap((call) =>
			["send", "deliver"].map((method) => `use(listen(0, max_frame=100), lambda backend: backend.${method}(${call}))`),
		);
		const isBytes = "TypeError: a body is bytes: turn text into them with .encode()";
		const tooLong = (length: number) => `ValueError: a payload of ${length} bytes is longer than max_frame, 100`;
		const errors = [
			...["99", "'VIDEO'"].map((frameClass) => `ValueError: ${noClass(frameClass).replace("FrameClass.", "")}`),
			...[isBytes, isBytes, isBytes, tooLong(101), tooLong(105)],
		];
		expect(inPython(lines)).toEqual([...errors.flatMap((error) => [error, error]), "true", "none", "true", "none"]);
	});
});

describe("docs/reference/gateway-backends.md", () => {
	const page = readFileSync(join(examples, "../../docs/reference/gateway-backends.md"), "utf8");
	/** `name` in a cell, or at the beginning of a call in it. */
	const missing = (names: readonly string[]) => names.filter((name) => !new RegExp(`\\| \`(await )?${name}(\`|\\()`).test(page));

	it("has all options and counters of both libraries, and the defaults that they have", () => {
		const [options, stats, defaults] = inNode([
			"listen(0, { x: 1 }).catch(({ message }) => message.replace(/.* are /, ''))",
			"use(listen(0), ({ stats }) => Object.keys(stats).join(', '))",
			"use(listen(0), ({ options }) => Object.values(options).filter(Number.isInteger).join(', '))",
		]).map((line) => line.split(", "));
		expect(missing([...options!, ...stats!])).toEqual([]);
		expect(missing([...options!, ...stats!].map(snake))).toEqual([]);
		for (const bytes of defaults!) expect(page).toContain(`| a positive whole number | ${bytes} (`);
		expect(options!.length + stats!.length).toBe(17);
	});

	it.skipIf(!hasPython)("in Python they are the same", () => {
		const names = (source: string) => `use(listen(0), lambda backend: ", ".join(${source}))`;
		const node = inNode([
			"listen(0, { x: 1 }).catch(({ message }) => message.replace(/.* are /, ''))",
			"use(listen(0), ({ stats }) => Object.keys(stats).join(', '))",
			"use(listen(0), ({ options: o }) => [o.host, o.maxFrame, o.queueBytes, o.videoQueueBytes].join(', '))",
		]);
		const values = "map(str, (backend.host, backend.max_frame, backend.queue_bytes, backend.video_queue_bytes))";
		const python = inPython([names("__import__('gateway_backend').RULES"), names("backend.stats"), names(values)]);
		expect(python).toEqual([...node.slice(0, 2).map(snake), node[2]]);
	});
});
