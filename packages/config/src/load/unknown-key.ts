import { alwaysServed, replacements } from "../options/centrifugo.ts";

/**
 * The warning about an option that only Centrifugo has.
 * @param place such as "shardcast.yaml:3: client.proxy". @param path such as "client.proxy".
 */
export function unknownKey(place: string, path: string): string {
	const endpoint = alwaysServed.get(path);
	if (endpoint !== undefined) return `${place}: shardcast always serves ${endpoint}; Centrifugo's options for it have no effect`;
	const own = replacements.get(path);
	if (own !== undefined) return `${place}: this option of Centrifugo has no effect; shardcast has ${own} instead`;
	return `${place}: Centrifugo has this option, shardcast does not have it yet; it has no effect`;
}
