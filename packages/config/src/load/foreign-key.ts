import { alwaysServed } from "../options/centrifugo.ts";

/**
 * The warning about an option that only Centrifugo has.
 * @param place such as "shardcast.yaml:3: client.proxy". @param path such as "client.proxy".
 */
export function foreignKey(place: string, path: string): string {
	const endpoint = alwaysServed.get(path);
	if (endpoint !== undefined) return `${place}: shardcast always serves ${endpoint}; Centrifugo's options for it have no effect`;
	return `${place}: Centrifugo has this option, shardcast does not have it yet; it has no effect`;
}
