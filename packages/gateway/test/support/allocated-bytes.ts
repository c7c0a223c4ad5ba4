import { Session } from "node:inspector";

/** Bytes that V8 has allocated meanwhile, collected or not, as its sampling heap profiler estimates them. */
export async function allocatedBytes(work: () => void | Promise<void>): Promise<{ bytes: number; where: string }> {
	const session = new Session();
	session.connect();
	try {
		session.post("HeapProfiler.startSampling", {
			samplingInterval: 8192,
			includeObjectsCollectedByMajorGC: true,
			includeObjectsCollectedByMinorGC: true,
		} as object);
		await work();
		return await new Promise((resolve, reject) => {
			session.post("HeapProfiler.stopSampling", (error, result) => {
				if (error) reject(error);
				const sites: { bytes: number; name: string }[] = [];
				const visit = (node: ProfileNode): void => {
					sites.push({ bytes: node.selfSize, name: `${node.callFrame.functionName}:${node.callFrame.lineNumber}` });
					for (const child of node.children) visit(child);
				};
				visit((result as unknown as { profile: { head: ProfileNode } }).profile.head);
				sites.sort((one, other) => other.bytes - one.bytes);
				resolve({
					bytes: sites.reduce((sum, { bytes }) => sum + bytes, 0),
					where: sites
						.slice(0, 8)
						.map(({ bytes, name }) => `${name} ${bytes}`)
						.join(", "),
				});
			});
		});
	} finally {
		session.disconnect();
	}
}

interface ProfileNode {
	readonly callFrame: { readonly functionName: string; readonly lineNumber: number };
	readonly selfSize: number;
	readonly children: readonly ProfileNode[];
}
