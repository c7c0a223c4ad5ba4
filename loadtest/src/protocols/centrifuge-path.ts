/** Where the Centrifuge protocol is spoken, unless the URL names another path. */
export function centrifugePath(path: string): string {
	return path === "/" ? "/connection/websocket" : path;
}
