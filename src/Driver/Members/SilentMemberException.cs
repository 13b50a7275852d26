namespace Routing.Driver.Members;

/// <summary>A member gave no sign of life while an attempt waited for it.</summary>
internal sealed class SilentMemberException(TimeSpan waited) : TimeoutException(
    $"It gave no sign of life within {waited.TotalSeconds:0.##} s.");
