const oldest = [20, 11] as const;

/**
 * Why this version of Node is too old, in one line; null if it is not. Newer versions are not checked by number: whether the WebSocket library has
 * a binary for them shows when it is loaded.
 * @param version as in `process.versions.node`.
 */
export function nodeVersionProblem(version: string): string | null {
	const [major, minor] = version.split(".").map(Number);
	if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return null;
	return `Node ${version} is too old, it must be ${oldest.join(".")} or later; run it with Node 22: npx -y -p node@22 npm start`;
}
