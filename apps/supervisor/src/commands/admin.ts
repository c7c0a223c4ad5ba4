import type { CommandInput, CommandSpec } from "@shardcast/config";
import { StartupError } from "@shardcast/process";
import type { Endpoint } from "../admin/client/admin-client.ts";
import { readUrl } from "../admin/client/read-url.ts";
import type { Verb } from "../admin/verb.ts";
import { verbs } from "../admin/verbs/index.ts";
import { version } from "../version.ts";

/** A command for each verb of the admin interface. */
export const adminCommands: readonly CommandSpec[] = verbs.map((verb) => ({
	name: verb.name,
	summary: verb.summary,
	example: `shardcast ${verb.example}`,
	options: ["clusterDirectory", "adminSocket", "adminKey"],
	ignoresOtherOptions: true,
	words: argumentsIn(verb, "word").map(([name, { help, isRequired }]) => ({ name, help, isRequired })),
	ownFlags: [
		...argumentsIn(verb, "flag").map(([name, { placeholder, help }]) => ({
			name,
			help,
			...(placeholder !== null && { argument: placeholder }),
		})),
		{ name: "json", help: "Print events and the result as lines of JSON; the last line has the type end." },
		{ name: "pid", argument: "<pid>", help: "PID of the supervisor of the cluster, if several run." },
		{
			name: "url",
			argument: "<url>",
			help: "Ask over HTTP instead, such as https://node-1.example.com; needs the admin key, best in SHARDCAST_ADMIN_KEY.",
		},
	],
	run: (input) => run(verb, input),
}));

function argumentsIn({ arguments: table }: Verb, place: "word" | "flag") {
	return Object.entries(table).filter(([, kind]) => kind.place === place);
}

async function run({ name, arguments: table }: Verb, { loaded, own }: CommandInput): Promise<number> {
	const [{ findSocket }, { socketEndpoint, urlEndpoint }, { runVerb }, { jsonOutput, textOutput }] = await Promise.all([
		import("../admin/client/find-socket.ts"),
		import("../admin/client/admin-client.ts"),
		import("../admin/client/run-verb.ts"),
		import("../admin/client/output.ts"),
	]);
	const overHttp = (text: string, key: string | undefined): Endpoint => {
		const { url, warning } = readUrl(text, key);
		if (warning !== null) process.stderr.write(`shardcast: ${warning}\n`);
		return urlEndpoint(url, key!);
	};
	const output = own.json === undefined ? textOutput : jsonOutput;
	const args = Object.fromEntries(Object.keys(table).flatMap((key) => (own[key] === undefined ? [] : [[key, own[key]]])));
	let endpoint: Endpoint;
	try {
		endpoint =
			own.url === undefined
				? socketEndpoint(findSocket(loaded.config, given(own, "pid")))
				: overHttp(given(own, "url") ?? "", loaded.config.adminKey);
	} catch (error) {
		if (!(error instanceof StartupError) || own.json === undefined) throw error;
		await output.end({ outcome: "unreachable", reason: error.message, lines: [] });
		return error.exitStatus;
	}
	const interrupted = new AbortController();
	process.once("SIGINT", () => interrupted.abort());
	return runVerb({ endpoint, verb: name, args, output, version, interrupted: interrupted.signal });
}

function given(own: CommandInput["own"], name: string): string | undefined {
	const value = own[name];
	return value === true ? "" : value;
}
