const supported = [20, 22];

/** What is wrong with this version of Node, in one line; null = nothing. `version` is as in `process.versions.node`. */
export function unsupportedNode(version: string): string | null {
	if (supported.includes(Number.parseInt(version, 10))) return null;
	return `Node ${version} is not supported, since the WebSocket library has no binary for it; install Node ${supported.join(" or ")}`;
}
