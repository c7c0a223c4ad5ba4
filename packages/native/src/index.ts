export { acceptDescriptor, hasHungUp } from "./accept.ts";
export { Bell, BellRinger } from "./bell.ts";
export { DescriptorChannel } from "./descriptor-channel.ts";
export { type NativeSupport, nativeSupport } from "./libc.ts";
export { NativeError } from "./native-error.ts";
export { dieWithParent, pidNamespace, processStartTicks } from "./processes.ts";
export { closeWithReset } from "./reset.ts";
export { SharedFile } from "./shared-file.ts";
export { closeDescriptor, duplicate, peek, peerAddress, setDeferAccept, setTcpNoDelay } from "./sockets.ts";
