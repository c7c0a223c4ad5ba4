/** @param place such as "shardcast.yaml:3: client.proxy". */
export function foreignKey(place: string): string {
	return `${place}: Centrifugo has this option, shardcast does not have it yet; it has no effect`;
}
