package app

// VersionKey is where the workers share the version of WhatsApp Web.
const VersionKey = versionKey
