// npm run test:fuzz -- --minutes 30 --seed 7: random requests and frames for so long, repeatable by the seed. Files to run may follow, and behind
// another -- what goes to vitest, such as -t "title".
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dirname, "../..");
const usage = "usage: npm run test:fuzz -- [--minutes N] [--seed S] [--path P] [files] [-- arguments for vitest]";

function numberOf(name, text, least) {
	const value = Number(text);
	if (text.trim() === "" || !(value >= least)) throw new Error(`--${name} ${text}: give a number from ${least}; ${usage}`);
	return value;
}

function read(args) {
	const { values, positionals } = parseArgs({
		args,
		options: {
			help: { type: "boolean", short: "h" },
			minutes: { type: "string", default: "10" },
			seed: { type: "string" },
			path: { type: "string" },
		},
		allowPositionals: true,
	});
	return {
		help: values.help === true,
		minutes: numberOf("minutes", values.minutes, 0.01),
		seed: values.seed === undefined ? Math.floor(Math.random() * 0x7fffffff) : Math.floor(numberOf("seed", values.seed, 0)),
		path: values.path,
		rest: positionals,
	};
}

const fuzzFiles = () =>
	["packages", "apps"]
		.flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name, "test")))
		.filter((folder) => existsSync(join(root, folder)))
		.flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((file) => join(folder, file)))
		.filter((file) => file.endsWith(".test.ts") && readFileSync(join(root, file), "utf8").includes("fuzzed("));

try {
	const { help, minutes, seed, path, rest } = read(process.argv.slice(2));
	if (help) {
		console.log(
			`${usage}\n\nSends random requests and frames for so many minutes (10), and prints the seed with which that can be repeated.`,
		);
		process.exit(0);
	}
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
