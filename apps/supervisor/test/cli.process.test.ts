import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { CommandOutcome } from "@shardcast/config";
import { BoardLayout, ClusterDirectory, HeaderWord, Scoreboard } from "@shardcast/scoreboard";
import { canRunAsOtherUser, freePorts, ManagedProcess, runAsOtherUser } from "@shardcast/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { commandLine } from "../src/cli.ts";
import { runHere as runCommandHere } from "./support/run-here.ts";

const main = join(import.meta.dirname, "../dist/main.js");
let folder: string;
beforeEach(() => {
	folder = mkdtempSync("/dev/shm/shardcast-test-");
});
afterEach(() => rmSync(folder, { recursive: true }));

async function run(
	args: readonly string[],
	env: Record<string, string> = {},
	nodeArguments: string[] = [],
): Promise<{ code: number | null; lines: string[] }> {
	const child = await ManagedProcess.start(main, args, { env, nodeArguments });
	const { code } = await child.exited;
	return { code, lines: child.log().trimEnd().split("\n") };
}

/** As `run`, in this process. */
async function runHere(
	args: readonly string[],
	env: Readonly<Record<string, string>> = {},
	input = "",
): Promise<{ code: CommandOutcome; lines: string[] }> {
	const { code, lines } = await runCommandHere(args, env, input);
	return { code, lines };
}

/** Not the default ports: another test may run a cluster there. */
async function freeAddress(command: string): Promise<string[]> {
	const port = await freePorts(2);
	const address = `127.0.0.1:${port}`;
	return command === "multi"
		? ["--shards", "1", "--base-port", `${port + 1}`, "--cluster-directory", folder, "--lb-addr", address]
		: ["--addr", address];
}

describe("every wrong value ends with status 2 and exactly one line", () => {
	const says =
		(how: typeof run | typeof runHere) =>
		async (args: string[], env: Record<string, string>, line: string): Promise<void> => {
			expect(await how(args, { SHARDCAST_CLUSTER_DIRECTORY: folder, ...env })).toEqual({ code: 2, lines: [line] });
			expect(readdirSync(folder)).toEqual([]);
		};
	it.each<[string[], Record<string, string>, string]>([
		[["multi", "--shards", "many"], {}, 'shardcast: --shards: "many" is neither a whole number from 0 to 64 nor auto'],
	])("%j %j", says(run));
	it.each<[string[], Record<string, string>, string]>([
		[["multi"], { SHARDCAST_SHUTDOWN_TIMEOUT: "30" }, 'shardcast: SHARDCAST_SHUTDOWN_TIMEOUT: "30" has no unit; write 30s or 30ms'],
		[["multi", "--shrads", "3"], {}, "shardcast: unknown option '--shrads' (Did you mean --shards?); see shardcast multi --help"],
		[["mutli"], {}, "shardcast: unknown command 'mutli' (Did you mean multi?); see shardcast --help"],
		[["multi", "--shards"], {}, "shardcast: option '--shards <n>' argument missing; see shardcast multi --help"],
		[["multi", "extra"], {}, "shardcast: too many arguments for 'multi'. Expected 0 arguments but got 1; see shardcast multi --help"],
		[["single", "--shards", "2"], {}, "shardcast: unknown option '--shards'; see shardcast single --help"],
		[["drain"], {}, "shardcast: missing required argument 'shard'; see shardcast drain --help"],
		[["token", "create", "--user"], {}, "shardcast: option '--user <id>' argument missing; see shardcast token create --help"],
		[
			["multi", "--config", "/missing.yaml"],
			{},
			"shardcast: --config: the config file /missing.yaml does not exist; name another or leave it out",
		],
		[["single", "--addr", "foo"], {}, 'shardcast: --addr: "foo" is not an address; write :9002, 127.0.0.1:9002 or [::1]:9002'],
		[
			["config", "check", "--lb-addr", ":3003", "--shards", "3", "--base-port", "3002"],
			{},
			"shardcast: --lb-addr: port 3003 is that of shard 1; choose one outside of 3002 to 3004",
		],
		[["top", "--pid", "1"], {}, "shardcast: --pid: no cluster has the supervisor 1; none runs"],
	])("%j %j", says(runHere));
	// What the checks before the start find.
	it.each<[string[], Record<string, string>, string]>([
		[
			["multi", "--cluster-directory", "/missing"],
			{},
			"shardcast: --cluster-directory: /missing does not exist; name a writable directory in a memory file system",
		],
		[["multi", "--lb-addr", "192.0.2.1:80"], {}, "shardcast: --lb-addr: this machine has no address 192.0.2.1; name one that it has"],
		[
			["multi"],
			{ SHARDCAST_CPUS: "0,4000" },
			expect.stringMatching(/^shardcast: SHARDCAST_CPUS: CPU 4000 does not exist or may not be used; available: /),
		],
		[["multi", "--numa", "200"], {}, expect.stringMatching(/^shardcast: --numa: node 200 does not exist; this machine has /)],
	])("%j %j", { tags: ["long"] }, says(run));

	it("names file and line", async () => {
		const file = join(folder, "shardcast.yaml");
		writeFileSync(file, "shard: {batch: 3}\ncluster:\n  shards: none\n");
		expect(await runHere(["config", "check", "--config", file])).toEqual({
			code: 2,
			lines: [`shardcast: ${file}:3: cluster.shards: "none" is neither a whole number from 0 to 64 nor auto`],
		});
	});

	it("a route module that cannot be loaded, by file and line, in whichever way it is started", { tags: ["long"] }, async () => {
		const route = join(folder, "route.mjs");
		writeFileSync(route, 'const channel = "a";\nexport default ( => channel;\n');
		const options = ["--kafka-brokers", "127.0.0.1:1", "--kafka-topics", "t", "--kafka-route", route];
		const line = `shardcast: --kafka-route: the module cannot be loaded: ${route}:2: SyntaxError: Unexpected token '=>'`;
		const commands = [["config", "check"], ["multi", "--cluster-directory", folder], ["single"]];
		for (const command of commands) expect(await run([...command, ...options])).toEqual({ code: 2, lines: [line] });
		writeFileSync(route, 'export default () => "a";\n');
		expect((await run(["config", "check", ...options])).code).toBe(0);
	});

	const badStore = async (command: string) => {
		const file = join(folder, "a-file");
		writeFileSync(file, "");
		expect(await run([command, "--durable-store-path", file, ...(await freeAddress(command))])).toEqual({
			code: 2,
			lines: [
				`shardcast: the folder of the durable store, ${file}, cannot be used (EEXIST); set channel.durable_store.path to a folder on a local disk that has free space and that this user may write to`,
			],
		});
	};
	it("multi: a folder for the durable store that cannot be one", () => badStore("multi"));
	it("single: a folder for the durable store that cannot be one", { tags: ["long"] }, () => badStore("single"));

	it.each(["multi", "single"])("%s: a port that is taken", async (command) => {
		const server = createServer();
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		const { port } = server.address() as { port: number };
		const flag = command === "multi" ? "--lb-addr" : "--addr";
		// The last value of a flag counts.
		const { code, lines } = await run([command, ...(await freeAddress(command)), flag, `127.0.0.1:${port}`]);
		await new Promise((resolve) => server.close(resolve));
		expect({ code, lines }).toEqual({
			code: 2,
			lines: [`shardcast: ${flag}: port ${port} is taken; choose another or stop the program that has it`],
		});
	});

	it("a Node that is too old", async () => {
		const pretender = join(folder, "pretend.cjs");
		writeFileSync(pretender, 'Object.defineProperty(process.versions, "node", { value: "18.20.4" });');
		const { code, lines } = await run(["--version"], {}, ["--require", pretender]);
		expect({ code, lines }).toEqual({
			code: 2,
			lines: [expect.stringMatching(/^shardcast: Node 18\.20\.4 is too old, .* npx -y -p node@22 npm start$/)],
		});
	});

	it.each(["multi", "single"])("%s: a Node for which the library for WebSockets has no binary", { tags: ["long"] }, async (command) => {
		const pretender = join(folder, "pretend.cjs");
		// The number of the binary interface is what the name of the binary is made of.
		const values = { node: "24.1.0", modules: "137" };
		const defined = Object.entries(values).map(
			([name, value]) => `Object.defineProperty(process.versions, "${name}", { value: "${value}" });`,
		);
		writeFileSync(pretender, defined.join("\n"));
		const port = await freePorts(3);
		const flags = command === "multi" ? ["--shards", "2", "--base-port", `${port + 1}`, "--lb-addr"] : ["--addr"];
		const args = [command, ...flags, `127.0.0.1:${port}`, "--log-level", "error"];
		const { code, lines } = await run(args, { SHARDCAST_CLUSTER_DIRECTORY: folder }, ["--require", pretender]);
		expect({ code, lines }).toEqual({
			code: 2,
			lines: [
				expect.stringMatching(/^shardcast: uWebSockets\.js has no binary for Node 24\.1\.0; run it with Node 22: npx -y -p node@22 /),
			],
		});
		expect(readdirSync(folder)).toEqual(["pretend.cjs"]);
		// With a port that is taken it is told at once as well.
		const server = createServer();
		await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
		const taken = await run(args, { SHARDCAST_CLUSTER_DIRECTORY: folder }, ["--require", pretender]);
		await new Promise((resolve) => server.close(resolve));
		expect(taken).toMatchObject({ code: 2 });
		expect(taken.lines[0]).toMatch(/^shardcast: uWebSockets\.js has no binary for Node 24\.1\.0/);
		// All else needs no WebSocket.
		const checked = await run(["config", "check"], {}, ["--require", pretender]);
		expect(checked.code).toBe(0);
		expect(checked.lines).toContainEqual(expect.stringMatching(/^shardcast: uWebSockets\.js has no binary for Node 24\.1\.0/));
		expect(checked.lines).toContain("all options are valid");
	});
});

it("removes what a killed cluster left behind, before it looks whether there is room", async () => {
	// Above the highest pid that there can be.
	const stale = `shardcast-${process.getuid!()}-4194305-0123abcd`;
	mkdirSync(join(folder, stale), { mode: 0o700 });
	writeFileSync(join(folder, stale, "ring-0.1"), "");
	const { code, lines } = await run(["multi", "--cluster-directory", folder, "--lb-addr", "192.0.2.1:80"]);
	expect(code).toBe(2);
	expect(lines[0]).toContain(`removed ${join(folder, stale)}, left behind by a killed cluster`);
	expect(readdirSync(folder)).toEqual([]);
});

it("help lists every option with its default, and is no error", async () => {
	const { code, lines } = await run(["multi", "--help"]);
	expect(code).toBe(0);
	expect(lines.join("\n")).toMatch(/--shutdown-timeout <duration> [\s\S]*\(default:\s+30s\)/);
	expect((await runHere(["--help"])).code).toBe(0);
});

it("the help of a gateway says that it is one process by default, and that of a cluster one per CPU", async () => {
	const shards = async (command: string) =>
		/--shards <n> ([\s\S]*?)\n +--/.exec((await runHere([command, "--help"])).lines.join("\n"))?.[1]?.replace(/\s+/g, " ");
	expect(await shards("gateway")).toMatch(/A gateway for which this is not set is one process\. \(default: 1\)$/);
	expect(await shards("multi")).toMatch(/\(default: 0\)$/);
});

it("the help of each command ends with an example that works", { tags: ["long"] }, async () => {
	const { name, example } = commandLine.commands.at(-1)!;
	expect((await run([...name.split(" "), "--help"])).lines.slice(-2)).toEqual(["Example:", `  ${example}`]);
	writeFileSync(join(folder, "shardcast.yaml"), "client: {token: {hmac_secret_key: a-long-secret}}\n");
	writeFileSync(join(folder, "shardcast"), `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`, { mode: 0o755 });
	const env = { PATH: `${folder}:${process.env.PATH}`, SHARDCAST_CLUSTER_DIRECTORY: folder };
	const tried = commandLine.commands.map(async ({ name, example }) => {
		// Those that serve are only checked.
		const command = example
			.replace(/\bshardcast (multi|single|edge) /, "shardcast config check ")
			.replace(
				/\bshardcast gateway (\d+) (\S+) (\S+) /,
				(_, port: string, ...backends) => `shardcast config check --gateway-addr :${port} --backends ${backends.slice(0, 2)} `,
			);
		const child = spawn("bash", ["-o", "pipefail", "-c", command], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
		const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
		const said = `${output}${errors}`;
		// Those that ask a cluster find none here, and say so.
		const works = code === 0 || said.includes(`no cluster runs in ${folder}; start one with \`shardcast multi\``);
		return [name, `${example} `.includes(`shardcast ${name} `) ? "has one" : `none: "${example}"`, works ? "works" : said];
	});
	expect(await Promise.all(tried)).toEqual(commandLine.commands.map(({ name }) => [name, "has one", "works"]));
});

it("config print tells where each value came from, and hides secrets", async () => {
	const { code, lines } = await run(["config", "print", "--batch", "7"], { SHARDCAST_RING: "64", SHARDCAST_API_KEY: "swordfish" });
	expect(code).toBe(0);
	expect(lines.join("\n")).toMatch(
		/^shard:$[\s\S]*^ {2}batch: 7 +# --batch$[\s\S]*^ {2}ring: 64 +# SHARDCAST_RING$[\s\S]*^ {2}# key: set \(hidden\) +# SHARDCAST_API_KEY$/m,
	);
	expect(lines.join("\n")).not.toContain("swordfish");
});

it("config print --json is a config file that says the same", async () => {
	const { code, lines } = await runHere(["config", "print", "--json", "--batch", "7"], { SHARDCAST_API_KEY: "swordfish" });
	expect(code).toBe(0);
	expect(lines.join("\n")).not.toContain("swordfish");
	const file = join(folder, "shardcast.json");
	writeFileSync(file, lines.join("\n"));
	expect(await runHere(["config", "print", "--json", "--config", file])).toEqual({ code: 0, lines });
	expect(JSON.parse(lines.join("\n"))).toMatchObject({ shard: { batch: 7 }, kafka: { tls: { enabled: false } } });
});

it("config check warns of a variable that was probably meant to be an option", async () => {
	const { code, lines } = await runHere(["config", "check"], { SHARDCAST_BATHC: "7" });
	expect(code).toBe(0);
	expect(lines.sort()).toEqual([
		"all options are valid",
		"shardcast: SHARDCAST_BATHC: unknown environment variable; did you mean SHARDCAST_BATCH?",
	]);
});

it.skipIf(!canRunAsOtherUser())("top shows nothing that another user has put beside the clusters", { tags: ["long"] }, async () => {
	chmodSync(folder, 0o1777);
	const made = ClusterDirectory.create(folder);
	Scoreboard.create(made.boardPath, 1).close();
	const theirs = join(folder, `shardcast-${process.getuid!()}-${process.pid}-01234567`);
	// A true copy, down to the name that says whose it is.
	chmodSync(made.path, 0o755);
	for (const file of readdirSync(made.path)) chmodSync(join(made.path, file), 0o644);
	const { uid } = runAsOtherUser(`umask 077; cp -r ${made.path} ${theirs}; chmod 700 ${theirs}; chmod 600 ${theirs}/*`);
	made.remove();
	expect(await run(["top", "--once", "--cluster-directory", folder])).toEqual({
		code: 1,
		lines: [
			`shardcast: no cluster of this user runs in ${folder}; one belongs to user ${uid}; look at it as that user, such as with sudo -u '#${uid}' shardcast top`,
		],
	});
});

it("top of a cluster that another build runs is one line, which names the pid and both versions", async () => {
	const made = ClusterDirectory.create(folder);
	Scoreboard.create(made.boardPath, 1).close();
	const file = readFileSync(made.boardPath);
	const { major } = BoardLayout.version;
	file.writeInt32LE(((major + 1) << 16) | 3, 4 * HeaderWord.version);
	writeFileSync(made.boardPath, file);
	const why = `board has layout version ${major + 1}.3, and this program uses ${major}.x`;
	expect(await runHere(["top", "--once", "--cluster-directory", folder])).toEqual({
		code: 2,
		lines: [
			`shardcast: the cluster of supervisor ${process.pid} runs another build: ${made.path}/${why}; use the \`shardcast top\` that belongs to it`,
		],
	});
	rmSync(made.boardPath);
	expect(await runHere(["top", "--once", "--cluster-directory", folder])).toEqual({
		code: 1,
		lines: [
			expect.stringMatching(
				new RegExp(`^shardcast: cannot read the cluster of supervisor ${process.pid}: .*; if it is starting or stopping, try again`),
			),
		],
	});
	made.remove();
});

it("top without a cluster says how to start one, status 1", async () => {
	const { code, lines } = await runHere(["top", "--cluster-directory", folder]);
	expect({ code, lines }).toEqual({ code: 1, lines: [`shardcast: no cluster runs in ${folder}; start one with \`shardcast multi\``] });
});

describe("a clone that is not built", () => {
	const root = join(import.meta.dirname, "../../..");
	/** Copies of the package's own files, beside packages of which nothing is built. */
	function clone(packages: readonly string[]): void {
		for (const file of ["built.js", "cli.js", "index.js", "package.json"]) copyFileSync(join(root, file), join(folder, file));
		for (const name of packages) {
			const home = join(folder, "node_modules/@shardcast", name);
			mkdirSync(home, { recursive: true });
			const exports = { ".": "./dist/main.js", "./library": "./dist/library.js" };
			writeFileSync(join(home, "package.json"), JSON.stringify({ name: `@shardcast/${name}`, exports }));
		}
	}
	async function runClone(file: string): Promise<{ code: number | null; log: string }> {
		const child = await ManagedProcess.start(join(folder, file));
		const { code } = await child.exited;
		return { code, log: child.log() };
	}

	it.each([
		[["server", "supervisor"], "not built yet; run npm run build"],
		[[], "not installed yet; run npm ci && npm run build"],
	])("says so, with %j installed", { tags: ["long"] }, async (packages, problem) => {
		clone(packages);
		expect(await runClone("cli.js")).toEqual({ code: 2, log: `shardcast: ${problem}\n` });
		const { code, log } = await runClone("index.js");
		expect(code).toBe(1);
		expect(log).toContain(`Error: shardcast: ${problem}\n`);
		expect(log).not.toContain("ERR_MODULE_NOT_FOUND");
	});

	it("built, the package exports what the library does", { tags: ["long"] }, async () => {
		const [whole, library] = await Promise.all([import("../../../index.js"), import("@shardcast/server/library")]);
		expect(Object.keys(whole).sort()).toEqual(Object.keys(library).sort());
	});

	it("npm has no reason to change the mode of the command", () => {
		expect(statSync(join(root, "cli.js")).mode & 0o111).toBe(0o111);
	});
});

describe("shardcast token", () => {
	const secret = "a-secret-of-enough-bytes-surely-32";
	const token = (args: readonly string[], env: Record<string, string> = {}, input = "") => runHere(["token", ...args], env, input);

	it("create signs with the secret of the environment, and check prints the claims and whether it is valid, or why not", async () => {
		const created = await token(
			["create", "--user", "ann", "--channels", "a,b", "--claims", '{"meta":{"x":1}}', "--token-audience", "app"],
			{ SHARDCAST_TOKEN_HMAC_SECRET: secret },
		);
		expect(created).toMatchObject({ code: 0, lines: [expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/)] });
		const [signed] = created.lines;
		const check = spawn(process.execPath, [main, "token", "check", "--token-audience", "app"], {
			env: { ...process.env, SHARDCAST_TOKEN_HMAC_SECRET: secret },
			stdio: ["pipe", "pipe", "inherit"],
		});
		check.stdin.end(`${signed}\n`);
		const [valid, [status]] = await Promise.all([text(check.stdout), once(check, "close")]);
		expect(status, valid).toBe(0);
		expect(valid).toMatch(/^header \{[\s\S]*"aud": "app",[\s\S]*valid: a connection token of user "ann", until 20/);
		const invalid = await token(["check"], { SHARDCAST_TOKEN_HMAC_SECRET: "another-secret-of-32-bytes-or-more" }, signed);
		expect(invalid.code).toBe(1);
		expect(invalid.lines.join("\n")).toMatch(/"meta"[\s\S]*\ninvalid: signature verification failed$/);
	});

	it.each<[string[], string]>([
		[
			["create", "--user", "ann"],
			"shardcast: there is nothing to sign with: set client.token.hmac_secret_key in the config file or SHARDCAST_TOKEN_HMAC_SECRET, or give the file of a --private-key",
		],
		[
			["create", "--token-hmac-secret", secret],
			"shardcast: --token-hmac-secret: this command takes no secret as a flag, since ps would show it; set SHARDCAST_TOKEN_HMAC_SECRET in the environment, or client.token.hmac_secret_key in the config file",
		],
		[["create", "--private-key", "/missing.pem"], "shardcast: --private-key: /missing.pem cannot be read: ENOENT"],
		[["create", "--claims", "{"], "shardcast: --claims: this is not JSON"],
		[["create", "--expires", "60"], 'shardcast: --expires: "60" has no unit; write 60s or 60ms'],
		[["check"], "shardcast: there is no token on stdin; write: shardcast token check < file"],
	])("%j: one line that says what is wrong, status 2", async (args, line) => {
		expect(await token(args)).toEqual({ code: 2, lines: [expect.stringContaining(line)] });
	});
});
