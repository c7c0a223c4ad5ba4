// npm run test:fuzz -- --minutes 30 --seed 7: random requests and frames for so long, repeatable by the seed. What follows these options goes to
// vitest, such as the file to run, or -t "title".
import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dirname, "../..");
const usage = "npm run test:fuzz -- [--minutes N] [--seed S] [--path P] [vitest's arguments]";

function numberOf(name, text, least) {
	const value = Number(text);
	if (text.trim() === "" || !(value >= least)) throw new Error(`--${name} ${text}: give a number from ${least}; ${usage}`);
	return value;
}

function read(args) {
	const { values, tokens } = parseArgs({
		args,
		options: { minutes: { type: "string", default: "10" }, seed: { type: "string" }, path: { type: "string" } },
		allowPositionals: true,
		strict: false,
		tokens: true,
	});
	const ours = new Set(["minutes", "seed", "path"]);
	const rest = tokens.filter((token) => !(token.kind === "option" && ours.has(token.name)));
	return {
		minutes: numberOf("minutes", String(values.minutes), 0.01),
		seed: values.seed === undefined ? Math.floor(Math.random() * 0x7fffffff) : Math.floor(numberOf("seed", String(values.seed), 0)),
		path: values.path,
		rest: rest.map((token) => (token.kind === "positional" ? token.value : token.kind === "option" ? args[token.index] : "--")),
	};
}

const fuzzFiles = () =>
	globSync("{packages,apps}/*/test/**/*.test.ts", { cwd: root })
		.filter((file) => readFileSync(join(root, file), "utf8").includes("fuzzed("))
		.map((file) => relative(root, join(root, file)));

try {
	const { minutes, seed, path, rest } = read(process.argv.slice(2));
	const named = rest.some((argument) => argument.endsWith(".test.ts"));
	console.log(`seed ${seed}, ${minutes} minutes: repeat with --seed ${seed}`);
	const env = {
		...process.env,
		SHARDCAST_TEST_SEED: String(seed),
		SHARDCAST_FUZZ_MINUTES: String(minutes),
		...(path && { SHARDCAST_FUZZ_PATH: path }),
	};
	const { status } = spawnSync("npx", ["vitest", "run", ...(named ? [] : fuzzFiles()), ...rest], { cwd: root, env, stdio: "inherit" });
	if (status !== 0)
		console.log(`failed with seed ${seed}. Repeat the case with --seed ${seed} --path PATH, where PATH is the path in the error above`);
	process.exitCode = status ?? 1;
} catch (error) {
	console.error(error.message);
	process.exitCode = 2;
}
