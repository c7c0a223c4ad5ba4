import { relative } from "node:path";

/** A version of Node for which uWebSockets.js has binaries, and which npm can fetch for one command. */
const bestNode = "22";
const platforms = "Linux with glibc on x64 or arm64";

/** The properties of the process that matter. */
export type Host = Pick<NodeJS.Process, "argv" | "arch" | "platform" | "send" | "versions">;

/** Why uWebSockets.js does not load and how to fix it, in one line. */
export function libraryProblem(error: unknown, host: Host): string {
	const { code, message } = error as NodeJS.ErrnoException;
	if (code === "ERR_MODULE_NOT_FOUND") return "uWebSockets.js is not installed; run npm ci";
	// The library's message begins with a list of versions and ends with the loader's error.
	const reason = message
		.split("\n\n")
		.at(-1)!
		.split("\n")[0]
		.replace(/^Error: /, "");
	if (!reason.includes("Cannot find module")) return `uWebSockets.js does not load (${reason}); it needs ${platforms}`;
	const { node } = host.versions;
	if (node.startsWith(`${bestNode}.`))
		return `uWebSockets.js has no binary for Node ${node} on ${host.platform} ${host.arch}; it needs ${platforms}`;
	return `uWebSockets.js has no binary for Node ${node}; run it with Node ${bestNode}: npx -y -p node@${bestNode} ${sameCommand(host)}`;
}

/** The user's command, without arguments, which may contain secrets. A child of the supervisor does not know it. */
function sameCommand({ argv, send }: Host): string {
	if (send !== undefined) return "npm start";
	const [, program = "", command = ""] = argv;
	return ["node", relative(process.cwd(), program) || program, /^\w+$/.test(command) ? command : ""].join(" ").trimEnd();
}
