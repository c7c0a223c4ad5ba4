import { existsSync, readFileSync, rmSync } from "node:fs";
import { waitFor } from "@shardcast/testkit";

interface ProfileNode {
	readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
	readonly selfSize: number;
	readonly children: readonly ProfileNode[];
}

export interface Allocated {
	/** Bytes, as the profiler estimates them. */
	readonly all: number;
	/** By functions of shardcast, and by what they call. */
	readonly ours: number;
	/** Of these, the views over what uWebSockets.js gives: without one, JavaScript cannot read an ArrayBuffer. */
	readonly views: number;
	/** The functions with the most, as "name file:line". */
	readonly sites: readonly { readonly name: string; readonly bytes: number }[];
}

/** What a process with `heap-probe` in it allocates while `work` runs. @param file that HEAP_PROBE_FILE names in it. */
export async function allocatedDuring(pid: number, file: string, work: () => Promise<void>): Promise<Allocated> {
	rmSync(file, { force: true });
	process.kill(pid, "SIGUSR2");
	await waitFor(() => existsSync(file), { what: "the profiler samples", deadlineMs: 20_000 });
	await work();
	process.kill(pid, "SIGUSR2");
	const profile = await waitFor(() => tryParse(readFileSync(file, "utf8")), { what: "the profile", deadlineMs: 20_000 });
	return sum(profile.profile.head);
}

function tryParse(text: string): { readonly profile: { readonly head: ProfileNode } } | null {
	try {
		return JSON.parse(text);
	} catch {
		// It is not written to its end.
		return null;
	}
}

function sum(head: ProfileNode): Allocated {
	const sites = new Map<string, number>();
	let all = 0;
	let ours = 0;
	let views = 0;
	const visit = ({ callFrame, selfSize, children }: ProfileNode, isCalledByUs: boolean): void => {
		const { functionName, url, lineNumber } = callFrame;
		const isOurs = isCalledByUs || (/\/(packages|apps)\//.test(url) && !url.includes("/node_modules/"));
		all += selfSize;
		if (isOurs) ours += selfSize;
		// The second when V8 has compiled the first into its caller.
		if (isOurs && (functionName === "fromArrayBuffer" || functionName === "Uint8Array")) views += selfSize;
		const name = `${functionName || "(anonymous)"} ${url.replace(/^.*\/(?=packages\/|node_modules\/)/, "")}:${lineNumber + 1}`;
		if (selfSize > 0) sites.set(name, (sites.get(name) ?? 0) + selfSize);
		for (const child of children) visit(child, isOurs);
	};
	visit(head, false);
	return {
		all,
		ours,
		views,
		sites: [...sites].map(([name, bytes]) => ({ name, bytes })).sort((one, other) => other.bytes - one.bytes),
	};
}
