const oldest = [20, 11] as const;

/**
 * What is wrong with this version of Node, in one line; null = nothing that is known here. Newer ones are not judged by their number:
 * the library for WebSockets has a binary for them or not, which the shard sees when it loads it.
 * @param version as in `process.versions.node`.
 */
export function tooOldNode(version: string): string | null {
	const [major, minor] = version.split(".").map(Number);
	if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return null;
	return `Node ${version} is too old, it must be ${oldest.join(".")} or later; run it with Node 22: npx -y -p node@22 npm start`;
}
