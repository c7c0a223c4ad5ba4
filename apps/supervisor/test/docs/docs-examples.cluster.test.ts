// @module-tag long
import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
	type Cluster,
	freePorts,
	httpRequest,
	LibraryClient,
	ManagedProcess,
	postJson,
	scaledDeadline,
	startCluster,
	waitFor,
} from "@shardcast/testkit";
import { chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

const examples = join(import.meta.dirname, "../../../../examples");
const browserPath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";

/** Whether what an example needs is here; without it the test is skipped in one loud line, and fails in CI. */
function has(what: string, present: boolean, fix: string): boolean {
	if (present) return true;
	const message = `SKIPPED: the example for ${what} is not tested: ${fix}`;
	if (process.env.CI === "true") throw new Error(message);
	console.warn(message);
	return false;
}
const hasBrowser = has("browsers", existsSync(browserPath), "apt-get install chromium, or set CHROMIUM_PATH");
const hasPython = has("Python", pythonRuns(), "apt-get install python3");

function pythonRuns(): boolean {
	try {
		execFileSync("python3", ["--version"], { stdio: "ignore" });
		return true;
	} catch {
		return false;
	}
}

/** A client program with its input and output. */
class Program {
	readonly #child: ChildProcessWithoutNullStreams;
	#output = "";

	constructor(command: string, args: readonly string[]) {
		this.#child = spawn(command, args);
		for (const stream of [this.#child.stdout, this.#child.stderr])
			stream.on("data", (data: Buffer) => {
				this.#output += data.toString();
			});
	}

	says(pattern: RegExp, deadlineMs = 10_000): Promise<RegExpExecArray> {
		return waitFor(() => pattern.exec(this.#output), {
			deadlineMs,
			what: `${pattern} in the output of ${this.#child.spawnargs.join(" ")}`,
		});
	}

	/** From here on only what comes now counts. */
	forget(): void {
		this.#output = "";
	}

	type(line: string): void {
		this.#child.stdin.write(`${line}\n`);
	}

	async stop(): Promise<void> {
		const ended = new Promise((resolve) => this.#child.once("close", resolve));
		this.#child.kill("SIGKILL");
		await ended;
	}
}

describe("examples: clients", () => {
	let cluster: Cluster;
	let listener: LibraryClient;
	beforeAll(async () => {
		// For the page that is opened as a file.
		cluster = await startCluster({ shards: 1, flags: ["--allowed-origins", "null"] });
	});
	afterAll(() => cluster.stop());

	/** Its shard dies and comes back; a client that reconnects hears the next message. */
	async function restartShard(): Promise<void> {
		await cluster.kill9(0);
		await cluster.ready();
	}

	async function speaksAndReconnects(program: Program): Promise<void> {
		try {
			await program.says(/connected/);
			listener = await LibraryClient.open(`${cluster.url}/?channels=news`);
			await postJson(`${cluster.httpUrl}/api/publish`, { channel: "news", data: "héllo" });
			await program.says(/^héllo$/m);
			await listener.waitForMessages(1);
			program.type("typed by hand");
			await listener.waitForMessages(2);
			expect(listener.texts()[1]).toBe("typed by hand");
			await httpRequest(`${cluster.httpUrl}/api/publish?channel=news`, {
				method: "POST",
				headers: { "content-type": "application/octet-stream" },
				body: Buffer.alloc(60_000),
			});
			await program.says(/^<60000 bytes>$/m);
			await postJson(`${cluster.httpUrl}/api/publish`, { channel: "other", data: "not for this client" });
			program.forget();
			await restartShard();
			await program.says(/again in/);
			await program.says(/connected/);
			await postJson(`${cluster.httpUrl}/api/publish`, { data: "after the restart" });
			await program.says(/^after the restart$/m);
			await expect(program.says(/not for this client/, 100)).rejects.toThrow();
		} finally {
			await program.stop();
		}
	}

	it("node-client.mjs hears, sends and reconnects", async () => {
		await speaksAndReconnects(new Program(process.execPath, [join(examples, "node-client.mjs"), cluster.url, "news"]));
	});

	it.skipIf(!hasPython)("client.py hears, sends and reconnects", async () => {
		await speaksAndReconnects(new Program("python3", [join(examples, "client.py"), cluster.url, "news"]));
	});

	it.skipIf(!hasPython).each([[], ["127.0.0.1", "3005"], ["http://127.0.0.1"], ["ws://a:port"]])(
		"client.py %s %s says how to call it",
		(...given) => {
			const { status, stderr } = spawnSync("python3", [join(examples, "client.py"), ...given], { encoding: "utf8" });
			expect({ status, stderr }).toEqual({
				status: 1,
				stderr: "usage: python3 examples/client.py ws://127.0.0.1:3005 [channel,channel]\n",
			});
		},
	);

	it.skipIf(!hasBrowser)("browser.html hears, sends and reconnects, opened as a file", async () => {
		const browser = await chromium.launch({
			executablePath: browserPath,
			args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"],
		});
		try {
			const page = await browser.newPage();
			const problems: string[] = [];
			page.on("pageerror", (error) => problems.push(error.message));
			await page.goto(`file://${join(examples, "browser.html")}?server=${cluster.url}&channels=news`);
			const shown = (text: string) => page.locator("#messages li", { hasText: text }).waitFor({ timeout: scaledDeadline(20_000) });
			const connected = page.locator("#state", { hasText: /^connected$/ });
			await connected.waitFor();
			listener = await LibraryClient.open(`${cluster.url}/?channels=news`);
			await postJson(`${cluster.httpUrl}/api/publish`, { channel: "news", data: "to the page" });
			await shown("to the page");
			await page.fill("#text", "from the page");
			await page.keyboard.press("Enter");
			await listener.waitForMessages(2);
			expect(listener.texts()).toEqual(["to the page", "from the page"]);
			await restartShard();
			// Asked of the new shard: the page may not have noticed yet that the old one is gone, and still say "connected".
			await waitFor(async () => (await cluster.health()).connections === 1, { deadlineMs: 20_000, what: "the page to come back" });
			await connected.waitFor();
			await postJson(`${cluster.httpUrl}/api/publish`, { data: "after the restart" });
			await shown("after the restart");
			expect(problems).toEqual([]);
		} finally {
			await browser.close();
		}
	});
});

describe.skipIf(!hasBrowser)("examples: chat", () => {
	let cluster: Cluster;
	let web: ManagedProcess | undefined;
	beforeAll(async () => {
		cluster = await startCluster({ shards: 2, flags: ["--config", join(examples, "chat/chat.yaml")] });
	});
	afterAll(async () => {
		await web?.stop("SIGKILL");
		await cluster.stop();
	});

	it("chat/: two users see each other, a shard dies, whoever comes late reads what was said", async () => {
		web = await ManagedProcess.start(join(examples, "chat/server.mjs"), ["0", cluster.url]);
		await web.waitForOutput(/serving at \S+/, 10_000);
		const address = /serving at (\S+)/.exec(web.log())![1]!;
		const browser = await chromium.launch({
			executablePath: browserPath,
			args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"],
		});
		try {
			const problems: string[] = [];
			const enter = async (name: string) => {
				const page = await (await browser.newContext()).newPage();
				page.on("pageerror", (error) => problems.push(error.message));
				await page.goto(address);
				await page.fill("#name", name);
				await page.keyboard.press("Enter");
				await page.locator("#state", { hasText: /^connected$/ }).waitFor({ timeout: scaledDeadline(20_000) });
				return page;
			};
			const say = async (page: Page, text: string) => {
				await page.fill("#text", text);
				await page.keyboard.press("Enter");
			};
			const reads = (page: Page, lines: readonly string[]) =>
				waitFor(async () => expect(await page.locator("#messages li").allInnerTexts()).toEqual(lines), {
					deadlineMs: 10_000,
					what: lines.join(),
				});
			const ann = await enter("ann");
			const bob = await enter("bob");
			await ann.locator("#here", { hasText: "here: ann, bob" }).waitFor({ timeout: scaledDeadline(20_000) });
			await say(ann, "hello");
			await reads(bob, ["ann: hello"]);
			await cluster.kill9(0);
			await say(bob, "still here?");
			await reads(ann, ["ann: hello", "bob: still here?"]);
			await reads(await enter("cy"), ["ann: hello", "bob: still here?"]);
			await reads(bob, ["ann: hello", "bob: still here?"]);
			const note = { channel: "chat:lobby", data: { text: "The server restarts at noon" } };
			const headers = { "content-type": "application/json", "x-api-key": "only-for-the-backend" };
			const body = JSON.stringify(note);
			expect((await httpRequest(`${cluster.httpUrl}/api/publish`, { method: "POST", headers, body })).status).toBe(200);
			await reads(bob, ["ann: hello", "bob: still here?", "system: The server restarts at noon"]);
			await bob.context().close();
			await ann.locator("#here", { hasText: /^here: ann, cy$/ }).waitFor({ timeout: scaledDeadline(20_000) });
			const forged = await fetch(`${address}/token?user=`);
			expect(forged.status).toBe(400);
			expect(problems).toEqual([]);
		} finally {
			await browser.close();
		}
	});
});

it("each file of examples/ is run by a test", () => {
	const tests = [
		"docs-examples.cluster.test.ts",
		"docs-kafka.cluster.test.ts",
		"../cluster/centrifuge/centrifuge-durable.cluster.test.ts",
		"../cluster/hooks.cluster.test.ts",
		"../cluster/webhooks.cluster.test.ts",
		"../gateway/backend-libraries.process.test.ts",
	].map((name) => readFileSync(join(import.meta.dirname, name), "utf8"));
	expect(readdirSync(examples).filter((name) => !tests.some((test) => test.includes(name)))).toEqual([]);
});

it("channels.mjs shows two clients on two shards, one of which dies", async () => {
	const run = await ManagedProcess.start(join(examples, "channels.mjs"), [String(await freePorts(4))]);
	expect(await run.exited, run.log()).toEqual({ code: 0, signal: null });
	expect(run.log()).toMatch(/(alice|bob) +subscribed again, recovered: true\n/);
	expect(run.log()).toContain("both clients got the same 6 publications in the same order");
});

describe("examples: servers", () => {
	let program: ManagedProcess | undefined;
	afterEach(async () => {
		if (program?.status() === null) await program.stop("SIGKILL");
	});

	async function start(name: string): Promise<{ program: ManagedProcess; address: string }> {
		const address = `127.0.0.1:${await freePorts()}`;
		program = await ManagedProcess.start(join(examples, name), [address]);
		await program.waitForOutput(/serving at/, 10_000);
		return { program, address };
	}

	it("server.mjs serves a clock, prints its status line, and stops in order", async () => {
		const { program, address } = await start("server.mjs");
		const client = await LibraryClient.open(`ws://${address}/?channels=clock`);
		await client.waitForMessages(1);
		expect(client.texts()[0]).toMatch(/^\d{4}-\d\d-\d\dT/);
		await program.waitForOutput(/\] Conns: 1, Msgs: \d+/, 5000);
		program.signal("SIGTERM");
		expect((await client.closed).code).toBe(1001);
		expect((await program.exited).code).toBe(0);
		expect(program.log()).toMatch(/listeners: \{ clock: 1 \}/);
		expect(program.log()).toMatch(/host -> clock: 24 bytes, handled in/);
	});

	it("middleware.mjs tracks, refuses and changes messages", async () => {
		const { program, address } = await start("middleware.mjs");
		const client = await LibraryClient.open(`ws://${address}/?channels=a`);
		const publish = async (data: unknown) => (await postJson(`http://${address}/api/publish`, { channel: "a", data })).status;
		expect(await publish({ n: 1 })).toBe(200);
		expect(await publish("no object")).toBe(500);
		await client.waitForMessages(1);
		expect(JSON.parse(client.texts()[0]!)).toEqual({ n: 1, at: expect.any(Number) });
		program.signal("SIGTERM");
		expect((await program.exited).code).toBe(0);
		await client.closed;
		const stats = JSON.parse(/^\{.*by_channel.*\}$/m.exec(program.log())![0]) as Record<string, unknown>;
		expect(stats).toMatchObject({ connections: 1, total_messages: 1, by_channel: { a: { messages: 1 } } });
		expect(program.log()).toMatch(/a handler failed, its message is lost: /);
	});
});
