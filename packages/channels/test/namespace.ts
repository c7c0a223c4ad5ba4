import { type ChannelOptions, defaultConfig, type NamespaceOptions } from "@shardcast/config";

/** A namespace in which everything is switched off but what is given. */
export function namespace({ name, ...changes }: Partial<ChannelOptions> & { readonly name: string }): NamespaceOptions {
	return { name, ...defaultConfig().channelWithoutNamespace, ...changes };
}
