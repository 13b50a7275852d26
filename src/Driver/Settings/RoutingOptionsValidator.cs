using Microsoft.Extensions.Options;

namespace Routing.Driver.Settings;

/// <summary>Checks every setting; generated.</summary>
[OptionsValidator]
internal sealed partial class RoutingOptionsValidator : IValidateOptions<RoutingOptions>;
